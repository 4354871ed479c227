// Package inplace gives the sidecars of running pods another image, pod by pod, by what package upgrade decides. Their apps go on
// running.
package inplace
