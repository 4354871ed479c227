package source

import (
	"crypto/sha256"
	"encoding/json"

	"google.golang.org/protobuf/proto"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
)

// held says which key sets a bundle names and which of them it has.
func held(b *bundle.Bundle) *pushv1.State {
	out := &pushv1.State{}
	named := map[string]bool{"": true}
	for _, p := range b.Policies {
		for _, ids := range [][]string{p.Keys, p.Decryption} {
			for _, id := range ids {
				if named[id] {
					continue
				}
				named[id] = true
				out.KeySets = append(out.KeySets, heldSet(id, b.KeySets[id].JWKS))
			}
		}
	}
	return out
}

func heldSet(id string, jwks []byte) *pushv1.HeldKeySet {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if len(jwks) == 0 || json.Unmarshal(jwks, &set) != nil || len(set.Keys) == 0 {
		return &pushv1.HeldKeySet{Id: id}
	}
	digest := sha256.Sum256(jwks)
	return &pushv1.HeldKeySet{Id: id, Digest: digest[:], Count: uint32(len(set.Keys))} //nolint:gosec // a bundle has a bound
}

// news returns what the sidecar has to say of itself, or nil if the controller of this stream knows it.
func (p *Push) news() *pushv1.ClientMessage {
	if p.state == nil || proto.Equal(p.state, p.told) {
		return nil
	}
	p.told = p.state
	return &pushv1.ClientMessage{Kind: &pushv1.ClientMessage_State{State: p.state}}
}
