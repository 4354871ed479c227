package source

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/bearerguard/bearerguard/api/bundle/pushv1"
	"github.com/bearerguard/bearerguard/api/revoked"
)

// revocations is what a Push knows of the revocations in force, and of those that are on their way.
type revocations struct {
	set     *revoked.Set // in force; nil: none were ever given
	applier *revoked.Applier
	version []byte // of what is on its way
	failure error  // of a chunk of it
}

// held is the version of the set in force, for the controller.
func (r *revocations) held() []byte {
	if r.set == nil {
		return nil
	}
	v := r.set.Version()
	return v[:]
}

// drop forgets what is on its way, since the stream that carried it has ended.
func (r *revocations) drop() { r.applier, r.version, r.failure = nil, nil, nil }

// take takes in one message. It returns a set once it is whole, or why it cannot be used.
func (r *revocations) take(m *pushv1.Revocations) (*revoked.Set, error) {
	if r.applier == nil {
		r.version = m.GetVersion()
		r.begin(m.GetBase())
	}
	if r.failure == nil {
		r.failure = r.chunk(m)
	}
	if m.GetMore() {
		return nil, nil
	}
	applier, version, failure := r.applier, r.version, r.failure
	r.drop()
	if failure != nil {
		return nil, failure
	}
	return applier.Finish(revoked.Version(version), r.set)
}

func (r *revocations) begin(base []byte) {
	r.applier = revoked.NewApplier(nil)
	if len(base) == 0 {
		return
	}
	if !bytes.Equal(base, r.held()) {
		r.failure = errors.New("the change is one of other revocations than those in use")
		return
	}
	r.applier = revoked.NewApplier(r.set)
}

func (r *revocations) chunk(m *pushv1.Revocations) error {
	if len(r.version) != len(revoked.Version{}) || !bytes.Equal(m.GetVersion(), r.version) {
		return errors.New("the version is not that of revocations, or not the one that the message before began with")
	}
	return r.applier.Take(revoked.Chunk{Added: m.GetAdded(), Removed: m.GetRemoved()})
}

// revoke takes in a message with revocations, and returns what to answer; nil: nothing yet. A set that cannot be used leaves the one before
// it in force.
func (p *Push) revoke(m *pushv1.Revocations) *pushv1.ClientMessage {
	set, err := p.revocations.take(m)
	switch {
	case err != nil:
		p.contact.behind()
		p.c.Log.Error(err, "refused revocations; going on with those in force", "version", fmt.Sprintf("%x", m.GetVersion()))
		return &pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Nack{Nack: &pushv1.Nack{Revocations: m.GetVersion(), Reason: bounded(err.Error())}}}
	case set == nil:
		return nil
	}
	p.revocations.set = set
	p.c.Revoke(set)
	p.c.Log.Info("revocations in force", "version", set.Version().String(), "entries", set.Len())
	err = p.c.LastGood.SaveRevocations(set)
	p.savedRevocations(err == nil)
	if err != nil {
		p.c.Log.Error(err, "a restart will not know these revocations until the controller answers")
	}
	v := set.Version()
	return &pushv1.ClientMessage{Kind: &pushv1.ClientMessage_Ack{Ack: &pushv1.Ack{Revocations: v[:]}}}
}

// restoreRevocations puts the last good copy in force, if there is one.
func (p *Push) restoreRevocations() {
	set, err := p.c.LastGood.LoadRevocations()
	if err != nil {
		p.c.Log.Error(err, "the last good revocations are of no use; everything is refused until the controller answers")
	}
	if set != nil {
		p.revocations.set = set
		p.c.Revoke(set)
	}
}
