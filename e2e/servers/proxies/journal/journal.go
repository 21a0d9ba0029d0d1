// Package journal dials for a proxy and tells of it on stdout, one line for each thing that happens, so that a test
// can count connections and see where they led:
//
//	dialed TARGET        a connection to TARGET is open
//	ended TARGET         and has ended
//	failed TARGET: WHY   there was none
//	refused WHO          the proxy did not know the caller
package journal

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
)

// Options are the flags that both proxies have.
type Options struct {
	Listen, User, Password string
	// Where names lead that only the proxy knows, "name:port" to "address:port".
	Known map[string]string
}

// Parse reads the command line.
func Parse() *Options {
	o := &Options{Known: map[string]string{}}
	flag.StringVar(&o.Listen, "listen", "", "ADDRESS:PORT")
	flag.StringVar(&o.User, "user", "", "the one user there is; empty lets anybody in")
	flag.StringVar(&o.Password, "password", "", "and their password")
	flag.Func("known", "NAME:PORT=ADDRESS:PORT: a name that only this proxy knows", func(value string) error {
		name, address, found := strings.Cut(value, "=")
		if !found {
			return fmt.Errorf("%q has no =", value)
		}
		o.Known[name] = address
		return nil
	})
	flag.Parse()
	return o
}

// Dial connects to target, or to what it is known as.
func (o *Options) Dial(ctx context.Context, target string) (net.Conn, error) {
	address, known := o.Known[target]
	if !known {
		address = target
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		say("failed %s: %v", target, err)
		return nil, err
	}
	say("dialed %s", target)
	return &told{TCPConn: connection.(*net.TCPConn), target: target}, nil
}

// Valid says whether this is the user, and tells when not.
func (o *Options) Valid(user, password string) bool {
	valid := o.User == "" || (user == o.User && password == o.Password)
	if !valid {
		say("refused %q", user)
	}
	return valid
}

// Fail ends the program because of an error.
func Fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// told is a connection whose end is told once.
type told struct {
	*net.TCPConn
	target string
	once   sync.Once
}

func (t *told) Close() error {
	t.once.Do(func() { say("ended %s", t.target) })
	return t.TCPConn.Close()
}

var lines sync.Mutex

func say(format string, values ...any) {
	lines.Lock()
	defer lines.Unlock()
	fmt.Printf(format+"\n", values...)
}
