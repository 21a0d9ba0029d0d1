// Command connect is an HTTP forward proxy: CONNECT (RFC 9110, section 9.3.6) over HTTP or HTTPS, with Basic
// authentication. The proxy itself is github.com/elazarl/goproxy.
package main

import (
	"context"
	"encoding/base64"
	"flag"
	"net"
	"net/http"
	"strings"

	"cluster-gateway/e2e/servers/proxies/journal"
	"github.com/elazarl/goproxy"
)

func main() {
	cert := flag.String("cert", "", "file of the serving certificate; empty serves plain HTTP")
	key := flag.String("key", "", "file of its key")
	options := journal.Parse()
	proxy := goproxy.NewProxyHttpServer()
	proxy.ConnectDialWithReq = func(r *http.Request, _, address string) (net.Conn, error) {
		// The tunnel outlives the request.
		return options.Dial(context.WithoutCancel(r.Context()), address)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		if user, password := credentials(r); !options.Valid(user, password) {
			w.Header().Set("Proxy-Authenticate", `Basic realm="lab"`)
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		r.Header.Del("Proxy-Authorization")
		proxy.ServeHTTP(w, r)
	})
	// CONNECT over HTTP/2 is another protocol, which goproxy does not speak.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{Addr: options.Listen, Handler: handler, Protocols: protocols}
	if *cert != "" {
		journal.Fail(server.ListenAndServeTLS(*cert, *key))
	}
	journal.Fail(server.ListenAndServe())
}

// credentials are those of RFC 7617, in the header that is for a proxy.
func credentials(r *http.Request) (string, string) {
	encoded, _ := strings.CutPrefix(r.Header.Get("Proxy-Authorization"), "Basic ")
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", ""
	}
	user, password, _ := strings.Cut(string(decoded), ":")
	return user, password
}
