package source

import (
	"crypto/sha256"
	"encoding/json"

	"google.golang.org/protobuf/proto"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
)

// held says which key sets a bundle names and which of them it has.
func held(b *bundle.Bundle) []*pushv1.HeldKeySet {
	var out []*pushv1.HeldKeySet
	named := map[string]bool{"": true}
	for _, p := range b.Policies {
		for _, id := range p.Named() {
			if named[id] {
				continue
			}
			named[id] = true
			out = append(out, heldSet(id, b.KeySets[id].JWKS))
		}
	}
	return out
}

func heldSet(id string, jwks []byte) *pushv1.HeldKeySet {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(jwks) > 0 && bundle.IsCredential(id) {
		digest := sha256.Sum256(jwks)
		return &pushv1.HeldKeySet{Id: id, Digest: digest[:], Count: 1}
	}
	if len(jwks) == 0 || json.Unmarshal(jwks, &set) != nil || len(set.Keys) == 0 {
		return &pushv1.HeldKeySet{Id: id}
	}
	digest := sha256.Sum256(jwks)
	return &pushv1.HeldKeySet{Id: id, Digest: digest[:], Count: uint32(len(set.Keys))} //nolint:gosec // a bundle has a bound
}

// holds notes the key sets of the bundle in force.
func (p *Push) holds(b *bundle.Bundle) {
	sets := held(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.KeySets = sets
}

// ForeignPort is a guarded port on which clients speak another protocol than HTTP.
type ForeignPort struct {
	Port     int
	Protocol string
}

// SetPorts says which ports of the app can be reached past the sidecar, and on which another protocol is spoken. The controller
// is told if that has changed. It does not block.
func (p *Push) SetPorts(open []uint16, foreign []ForeignPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.OpenPorts, p.state.ForeignPorts = nil, nil
	for _, port := range open {
		p.state.OpenPorts = append(p.state.OpenPorts, &pushv1.OpenPort{Port: uint32(port)})
	}
	for _, f := range foreign {
		p.state.ForeignPorts = append(p.state.ForeignPorts, &pushv1.ForeignPort{Port: uint32(f.Port), Protocol: f.Protocol}) //nolint:gosec // a port
	}
	p.stir()
}

// savedRules and savedRevocations note whether what is in force has been saved. The controller hears of it after the answer to what
// was saved.
func (p *Push) savedRules(ok bool) { p.noteSaved(&p.rulesLost, ok) }

func (p *Push) savedRevocations(ok bool) { p.noteSaved(&p.revocationsLost, ok) }

func (p *Push) noteSaved(lost *bool, ok bool) {
	if !ok {
		p.c.Unsaved()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	*lost = !ok
	p.state.Unsaved = p.rulesLost || p.revocationsLost
}

func (p *Push) stir() {
	select {
	case p.stirred <- struct{}{}:
	default:
	}
}

// newStream forgets what was told on the stream before.
func (p *Push) newStream() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = &pushv1.State{}
}

// addNews adds what the sidecar has to say of itself, unless the controller of this stream knows it.
func (p *Push) addNews(due []*pushv1.ClientMessage) []*pushv1.ClientMessage {
	p.mu.Lock()
	defer p.mu.Unlock()
	if proto.Equal(&p.state, p.told) {
		return due
	}
	p.told = proto.Clone(&p.state).(*pushv1.State)
	return append(due, &pushv1.ClientMessage{Kind: &pushv1.ClientMessage_State{State: p.told}})
}
