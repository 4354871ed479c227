package source

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/api/bundle"
	"github.com/bearerguard/bearerguard/api/decision"
	"github.com/bearerguard/bearerguard/api/fetch"
	"github.com/bearerguard/bearerguard/api/keyset"
	"github.com/bearerguard/bearerguard/api/revoked"
	"github.com/bearerguard/bearerguard/sidecar/source/manifest"
)

// DirConfig is where standalone rules come from.
type DirConfig struct {
	// Path is a folder; its files *.yaml, *.yml and *.json count, those in folders below do not.
	Path string
	// Namespace is that of objects that name none. Default "default".
	Namespace string
	// Labels are the workload's: policies apply whose selector fits. Nil: every policy applies.
	Labels map[string]string
	// Fetch are the rules for key sets that are fetched.
	Fetch fetch.Options
	// Apply puts bundles in force.
	Apply Apply
	// Revoke puts revocations in force. Default: nobody does.
	Revoke func(*revoked.Set)
	// Checked is told of key sets that have been looked at anew. Default: nobody.
	Checked Checked
	// Log gets state changes.
	Log logr.Logger
}

// Dir takes rules from a folder and follows its changes. Make it with NewDir; it runs once.
type Dir struct {
	c       DirConfig
	changed chan struct{} // size 1: something is to be looked at
	keys    *urlKeys
	root    []byte                    // what nonces derive from, of this process alone
	wrong   atomic.Pointer[time.Time] // since when what the folder says cannot be used; nil: it is in force

	// Touched by Load and Run only.
	parsed  *parsed              // what the folder says; nil: it was not read yet
	rules   rules                // in force, or tried for the first time
	last    string               // the version that was applied
	told    string               // the remarks that were logged
	revoked *revoked.Set         // in force; nil: none were read yet
	useless []string             // issuers in force whose keys fit none of their algorithms
	checked map[string]time.Time // what Checked was told last, by key set id
}

// rules is what the folder says, checked, but for the keys that are fetched.
type rules struct {
	set    *manifest.Set
	given  map[string]bundle.KeySet // key sets from files
	notes  []string                 // what there is to say of them
	wanted map[string]fetch.Source  // key sets to fetch
}

const (
	// quiet is how long files must have been left alone before they are read: editors write in steps. patience is how
	// long that can put off reading.
	quiet    = 50 * time.Millisecond
	patience = time.Second
	// glance is how often the folder is read although nobody told of a change, for file systems that do not tell.
	glance = 10 * time.Second
	// firstKeys is how long Load waits for key sets that are fetched.
	firstKeys = 3 * time.Second
)

// NewDir returns a Dir that has read nothing yet.
func NewDir(c DirConfig) *Dir {
	if c.Namespace == "" {
		c.Namespace = "default"
	}
	if c.Revoke == nil {
		c.Revoke = func(*revoked.Set) {}
	}
	if c.Checked == nil {
		c.Checked = func(string, time.Time) {}
	}
	d := &Dir{c: c, changed: make(chan struct{}, 1), root: make([]byte, keyset.MinNonceRoot)}
	_, _ = rand.Read(d.root) // it never fails
	d.keys = newURLKeys(c.Fetch, c.Log, d.poke)
	return d
}

// Close stops fetching keys.
func (d *Dir) Close() { d.keys.close() }

// UnknownKey asks for a fetch of a key set that lacked a token's key. It returns how long it is until that can begin, and
// false for a set that comes from files. It does not block.
func (d *Dir) UnknownKey(keySet string) (in time.Duration, ok bool) { return d.keys.refetch(keySet) }

// Fetches says how the fetches of key sets go, by their ids.
func (d *Dir) Fetches() map[string]fetch.Report { return d.keys.reports() }

// Freshness returns how new the rules in force are: there is no controller, and they are old from when the folder has others that
// cannot be used.
func (d *Dir) Freshness() Freshness {
	f := Freshness{Known: true}
	if since := d.wrong.Load(); since != nil {
		f.Age = time.Since(*since)
	}
	return f
}

func (d *Dir) poke() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Load reads the folder once and applies it. It waits a moment for key sets that are fetched; those that have not come
// by then follow while Run runs. The error names each file and line that is wrong.
func (d *Dir) Load(ctx context.Context) error {
	r, err := d.read()
	if err != nil {
		return err
	}
	d.keys.want(r.wanted)
	d.keys.settle(ctx, firstKeys)
	if err := d.apply(r); err != nil {
		return err
	}
	d.rules = r
	d.remark(r)
	return nil
}

// Run follows the folder and the key sets until ctx is done; then it returns nil. A change that is wrong is logged, and
// the rules in force stay.
func (d *Dir) Run(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", d.c.Path, err)
	}
	defer watcher.Close()
	if err := watcher.Add(d.c.Path); err != nil {
		return fmt.Errorf("watch %s: %w", d.c.Path, err)
	}
	tick := time.NewTicker(glance)
	defer tick.Stop()
	var complaint string
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-watcher.Events:
			settle(ctx, watcher.Events)
		case err := <-watcher.Errors:
			d.c.Log.Error(err, "watching the folder", "folder", d.c.Path)
		case <-tick.C:
			_ = watcher.Add(d.c.Path) // the folder itself may have been replaced
		case <-d.changed:
		}
		complaint = d.follow(complaint)
	}
}

// follow reads and applies; it logs a problem unless it is the one that was logged before, and returns it. If what is
// read cannot be used, the rules in force still get the keys that have been fetched.
func (d *Dir) follow(before string) string {
	r, err := d.read()
	if err == nil {
		both := map[string]fetch.Source{} // none is forgotten before it is clear which rules stay
		maps.Copy(both, d.rules.wanted)
		maps.Copy(both, r.wanted)
		d.keys.want(both)
		err = d.apply(r)
	}
	if err == nil {
		d.rules = r
		d.remark(r)
	} else if d.rules.set != nil {
		err = errors.Join(err, d.apply(d.rules))
	}
	d.keys.want(d.rules.wanted)
	if err == nil {
		d.wrong.Store(nil)
		if before != "" {
			d.c.Log.Info("the rules are in order again")
		}
		return ""
	}
	if before == "" {
		now := time.Now()
		d.wrong.Store(&now)
	}
	if err.Error() != before {
		d.c.Log.Error(err, "the rules cannot be used; going on with those in force")
	}
	return err.Error()
}

// settle waits until no event has come for a while, within bounds.
func settle(ctx context.Context, events <-chan fsnotify.Event) {
	timer, end := time.NewTimer(quiet), time.NewTimer(patience)
	defer timer.Stop()
	defer end.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-end.C:
			return
		case <-events:
			timer.Reset(quiet)
		}
	}
}

// parse reads files and checks all that can be checked without fetching.
func (d *Dir) parse(files []manifest.File) (rules, error) {
	set, err := manifest.Parse(files, d.c.Namespace)
	if err != nil {
		return rules{}, err
	}
	set.Policies = slices.DeleteFunc(set.Policies, func(o bundle.Object) bool {
		return d.c.Labels != nil && !o.Selector.Matches(d.c.Labels)
	})
	r := rules{set: set}
	if err := check(set); err != nil {
		return rules{}, err
	}
	if r.wanted, err = fetched(set); err != nil {
		return rules{}, err
	}
	if r.given, r.notes, err = given(set, d.c.Fetch, d.root); err != nil {
		return rules{}, err
	}
	return r, nil
}

// apply assembles what is read and what is fetched, and puts it in force if it differs from what is.
func (d *Dir) apply(r rules) error {
	keys := maps.Clone(r.given)
	checked, _ := d.keys.addTo(keys)
	b := bundle.Assemble(r.set.Policies, keys)
	encoded, err := bundle.Encode(b)
	if err != nil {
		return err
	}
	if version := bundle.Version(encoded); version != d.last {
		if err := d.c.Apply(b, version); err != nil {
			return err
		}
		d.last, d.useless = version, useless(b)
		d.c.Log.Info("rules in force", "version", version, "policies", len(b.Policies))
	}
	if set := r.set.Revoked(); d.revoked == nil || set.Version() != d.revoked.Version() {
		d.c.Revoke(set)
		d.revoked = set
		d.c.Log.Info("revocations in force", "version", set.Version().String(), "entries", set.Len())
	}
	for id, began := range checked {
		if began.After(d.checked[id]) {
			d.c.Checked(id, began)
		}
	}
	d.checked = checked
	return nil
}

// check compiles the policies, to name the file and line of what is wrong.
func check(set *manifest.Set) error {
	objects := make(map[string]bundle.Object, len(set.Policies))
	policies := make([]decision.Policy, 0, len(set.Policies))
	for _, o := range set.Policies {
		p := decision.Policy{Namespace: o.Namespace, Name: o.Name, Spec: o.Spec}
		objects[p.ID()] = o
		policies = append(policies, p)
	}
	_, err := decision.Compile(policies)
	var problems []error
	for _, e := range unjoined(err) {
		problems = append(problems, placed(set, objects, e))
	}
	return errors.Join(problems...)
}

// placed puts "file:line" before an error of the policy compiler.
func placed(set *manifest.Set, objects map[string]bundle.Object, err error) error {
	var field *decision.FieldError
	if !errors.As(err, &field) {
		return err
	}
	if place := set.Place(objects[field.Policy], field.Path); place != "" {
		return fmt.Errorf("%s: %w", place, err)
	}
	return err
}

func unjoined(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // errors.Join's own, not wrapped
		return joined.Unwrap()
	}
	return []error{err}
}
