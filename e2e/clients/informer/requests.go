package main

import (
	"net/http"
	"sync/atomic"
)

// requests counts what client-go asks.
type requests struct {
	watching, listing, failing atomic.Int64
}

func (r *requests) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		query := request.URL.Query()
		// A watch that begins with all objects is the list of a client-go of today.
		if query.Get("watch") == "" || query.Get("sendInitialEvents") == "true" {
			r.listing.Add(1)
		} else {
			r.watching.Add(1)
		}
		response, err := next.RoundTrip(request)
		if err != nil || response.StatusCode >= 300 {
			r.failing.Add(1)
		}
		return response, err
	})
}

func (r *requests) watches() int64 { return r.watching.Load() }
func (r *requests) lists() int64   { return r.listing.Load() }
func (r *requests) failed() int64  { return r.failing.Load() }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }
