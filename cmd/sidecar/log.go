package main

import (
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"

	"github.com/bearerguard/bearerguard/sidecar/config"
	"github.com/bearerguard/bearerguard/sidecar/telemetry"
)

// lastWords is how long what is logged has to be read once the program ends.
const lastWords = time.Second

// newLogger returns the program's log. What the standard library logs by itself, such as a panic of a handler on the admin port, goes
// the same way: written to stderr, it would wait for who reads that. That a reader has gone does not end the program.
func newLogger(conf config.Config, lines *telemetry.LogQueue) (logr.Logger, error) {
	log, err := lines.Logger(conf.LogFormat, conf.LogLevel)
	if err != nil {
		return logr.Logger{}, err
	}
	signal.Ignore(syscall.SIGPIPE)
	slog.SetDefault(slog.New(logr.ToSlogHandler(log)))
	slog.SetLogLoggerLevel(slog.LevelError)
	return log, nil
}
