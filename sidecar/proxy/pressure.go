package proxy

import (
	"sync"
	"time"
)

// pressure has connections make way for others, at once and then every so often, for as long as others wait. The zero pressure does nothing.
type pressure struct {
	waits func() bool // whether any does
	relax func()      // has some make way
	say   func()      // tells of it, now and then

	mu   sync.Mutex
	on   bool      // guarded by mu
	said time.Time // guarded by mu
}

const (
	relaxEvery = 250 * time.Millisecond // a client of HTTP/2 that is asked to go may take a while
	sayEvery   = time.Minute
)

// rises is for who waits from now on. It may be called at any time.
func (p *pressure) rises() {
	if p.relax == nil {
		return
	}
	p.mu.Lock()
	on := p.on
	p.on = true
	p.mu.Unlock()
	if !on {
		p.work()
	}
}

func (p *pressure) work() {
	p.mu.Lock()
	p.on = p.waits()
	on, now := p.on, time.Now()
	says := on && now.Sub(p.said) >= sayEvery
	if says {
		p.said = now
	}
	p.mu.Unlock()
	if says {
		p.say()
	}
	if on {
		p.relax()
		time.AfterFunc(relaxEvery, p.work)
	}
}
