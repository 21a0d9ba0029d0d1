// Command socks5 is a SOCKS5 proxy (RFC 1928) with user and password (RFC 1929); the proxy itself is
// github.com/things-go/go-socks5.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"strconv"

	"cluster-gateway/e2e/servers/proxies/journal"
	"github.com/things-go/go-socks5"
)

func main() {
	options := journal.Parse()
	settings := []socks5.Option{
		socks5.WithLogger(socks5.NewLogger(log.New(os.Stderr, "socks5: ", 0))),
		socks5.WithResolver(later{}),
		socks5.WithDialAndRequest(func(ctx context.Context, _, address string, r *socks5.Request) (net.Conn, error) {
			if name := r.RawDestAddr.FQDN; name != "" {
				address = net.JoinHostPort(name, strconv.Itoa(r.RawDestAddr.Port))
			}
			return options.Dial(ctx, address)
		}),
	}
	if options.User != "" {
		settings = append(settings, socks5.WithCredential(users{options}))
	}
	journal.Fail(socks5.NewServer(settings...).ListenAndServe("tcp", options.Listen))
}

// later leaves names to the dialer, which knows some itself.
type later struct{}

func (later) Resolve(ctx context.Context, _ string) (context.Context, net.IP, error) {
	return ctx, net.IPv4zero, nil
}

type users struct{ *journal.Options }

func (u users) Valid(user, password, _ string) bool { return u.Options.Valid(user, password) }
