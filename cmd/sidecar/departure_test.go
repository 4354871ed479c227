package main

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bearerguard/bearerguard/api/probe"
)

// How long a container of the app is held, by when the word comes that the pod is about to stop.
func TestHold(t *testing.T) {
	t.Parallel()
	const linger = 5 * time.Second
	tests := map[string]struct {
		told  time.Duration // after the container asks; before, if negative
		never bool
		want  time.Duration
	}{
		"a container that ends alone is held for a moment":                {never: true, want: undecided},
		"word that comes at the same time holds it":                       {told: 0, want: linger + probe.HoldMore},
		"word that comes a little later counts from then":                 {told: time.Second, want: time.Second + linger + probe.HoldMore},
		"word that came before counts from then":                          {told: -3 * time.Second, want: linger + probe.HoldMore - 3*time.Second},
		"a container that asks after clients have left is not held":       {told: -time.Minute, want: 0},
		"word that comes too late finds the container already told to go": {told: 10 * time.Second, want: undecided},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newDeparture()
				if !tt.never && tt.told < 0 {
					d.tell()
					d.tell() // by the controller, and by the kubelet
					time.Sleep(-tt.told)
				}
				began := time.Now()
				if !tt.never && tt.told >= 0 {
					time.AfterFunc(tt.told, d.tell)
				}
				d.hold(t.Context(), linger)
				if got := time.Since(began); got != tt.want {
					t.Errorf("held for %s, want %s", got, tt.want)
				}
				time.Sleep(time.Minute) // until no timer is left
			})
		})
	}
}

func TestHoldEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newDeparture()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		d.hold(ctx, time.Hour)
		d.tell()
		d.hold(ctx, time.Hour)
		if got := time.Since(began); got != time.Second {
			t.Errorf("held for %s, want 1s", got)
		}
	})
}
