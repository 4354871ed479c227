// Package gitops holds the statuses that the controller writes against those who read them: Argo CD's health scripts, run by the interpreter that
// Argo CD has, and kstatus, by which Flux and others wait.
package gitops
