module cluster-gateway/e2e/servers/proxies

go 1.25.0

require (
	github.com/elazarl/goproxy v1.9.2
	github.com/things-go/go-socks5 v0.0.5
)

require (
	golang.org/x/net v0.50.0 // indirect
	golang.org/x/text v0.34.0 // indirect
)
