// Package config turns flags and environment variables into one validated Config.
//
// Each flag can be given as an environment variable too: --read-header-timeout is BEARERGUARD_READ_HEADER_TIMEOUT. A flag
// wins over its variable. What is wrong is an error that names the flag, the problem and what is wanted; all problems are
// told at once.
package config
