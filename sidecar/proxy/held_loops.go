//go:build loops

package proxy

// Held returns how often a turn of a loop took so long that its other connections had to wait; ok is false without loops.
func (p *Proxy) Held() (n uint64, ok bool) {
	for _, h := range p.plane.hosts {
		n += h.Loop.Held()
	}
	return n, true
}
