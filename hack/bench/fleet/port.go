package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/bearerguard/bearerguard/api/revoked"
)

// How log-outs are posted, with the port's own bounds as they are: an address has 1000 requests a second, so there are several, as of a
// provider with several hosts.
const (
	portAddresses = 8
	portEach      = 48 // requests at a time of an address, each on a connection of its own
	portFor       = 3 * time.Minute
	portAgain     = time.Second // after 429 or 503, as Retry-After has it
)

// throughThePort measures how log-outs, each a signed logout token that is posted, get to the sidecars: a million, or as many as are stored in
// portFor, which is returned.
func throughThePort(ctx context.Context, b *bench, f *fleet, p *logoutProvider) (int, error) {
	bytes, cpu, began := f.process().received(), b.controller.process().cpu(), time.Now()
	var next, stored, put atomic.Int64
	g, ctx2 := errgroup.WithContext(ctx)
	for a := range portAddresses {
		by := clientOf(net.IPv4(127, 0, 1, byte(a+1)))
		for range portEach {
			g.Go(func() error {
				for time.Since(began) < portFor {
					i := next.Add(1)
					if i > logoutEntries {
						return nil
					}
					tries, err := p.persist(ctx2, b, by, fmt.Sprint("port", i))
					if err != nil {
						return err
					}
					stored.Add(1)
					put.Add(int64(tries - 1))
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	n, took := int(stored.Load()), time.Since(began)
	acknowledged := time.Now()
	a, err := f.wait(question{What: whatRevocations, Least: int64(n), Timeout: 10 * time.Minute})
	if err != nil {
		return 0, err
	}
	row(fmt.Sprintf("%d logout tokens through the port, %d at a time from %d addresses", n, portAddresses*portEach, portAddresses),
		fmt.Sprintf("%s, %.0f a second; %d put off", seconds(took), float64(n)/took.Seconds(), put.Load()), "", false)
	row("the last of 100 sidecars has them, after the last was acknowledged", seconds(a.Last.Sub(acknowledged)), "< "+seconds(wantLogout), a.Last.Sub(acknowledged) > wantLogout)
	row("bytes to a sidecar", fmt.Sprintf("%.1f MiB", float64(f.process().received()-bytes)/logoutSidecars/(1<<20)),
		fmt.Sprintf("%.1f MiB is all of it", float64(n*revoked.Size)/(1<<20)), false)
	row("controller CPU", seconds(b.controller.process().cpu()-cpu), "", false)
	return n, nil
}

// persist posts until a log-out is stored, and returns how often.
func (p *logoutProvider) persist(ctx context.Context, b *bench, by *http.Client, sid string) (int, error) {
	for tries := 1; ; tries++ {
		err := p.logout(ctx, b, by, sid)
		var answer statusError
		if err == nil || !errors.As(err, &answer) || !answer.later() {
			return tries, err
		}
		select {
		case <-time.After(portAgain):
		case <-ctx.Done():
			return tries, ctx.Err()
		}
	}
}

// clientOf connects from an address of the loopback network.
func clientOf(ip net.IP) *http.Client {
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: ip}}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: d.DialContext, MaxIdleConnsPerHost: portEach,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the tool has made the certificate
	}}
}
