// Package clustercheck says of a cluster whether Bearerguard can be installed there, or works there: facts in, lines out. It is pure;
// the command gathers the facts.
//
// A fact that nobody may look at is unknown, and its line says so: that is no failure, since who installs is seldom who looks, and a
// check that fails for lack of rights would be switched off.
package clustercheck
