package proxy

// Held returns how often a turn of a loop took so long that its other connections had to wait: more than 20 ms.
func (p *Proxy) Held() (n uint64) {
	for _, h := range p.loops.hosts {
		n += h.Loop.Held()
	}
	return n
}
