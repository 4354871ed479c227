// Package source is where a sidecar's rules come from: the controller's push stream (Push), a directory of YAML files
// (Dir), and, for the time until the first of these has spoken, the last good bundle on disk (LastGood).
//
// Each hands whole bundles to an Apply function, one at a time. What cannot be applied changes nothing: the sidecar goes
// on with what it has, and whoever sent it is told why.
package source

import (
	"time"

	"github.com/bearerguard/bearerguard/api/bundle"
)

// Apply puts a bundle in force. An error says why it cannot be used; the one before stays in force then. It is never
// called twice at the same time by one source.
type Apply func(b *bundle.Bundle, version string) error

// Checked is told that a key set (bundle.SourceID) has been fetched anew, once what was found is in force: the keys in
// force are those that the source had at some time since began, or the last good ones if it failed.
type Checked func(keySet string, began time.Time)
