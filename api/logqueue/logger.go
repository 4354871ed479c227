package logqueue

import (
	"fmt"
	"io"
	"log/slog"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/grpclog"

	"github.com/bearerguard/bearerguard/api/printable"
)

// LastWords is how long what is logged has to be read once a program ends.
const LastWords = time.Second

// NewLogger returns a logger that writes one line an event. Format is "json" or "text", level "error", "info" or
// "debug". Both formats quote control characters, so that no value can start a line of its own.
func NewLogger(w io.Writer, format, level string) (logr.Logger, error) {
	levels := map[string]slog.Level{"error": slog.LevelError, "info": slog.LevelInfo, "debug": slog.LevelDebug}
	l, ok := levels[level]
	if !ok {
		return logr.Logger{}, fmt.Errorf("log level %q: want error, info or debug", level)
	}
	o := &slog.HandlerOptions{Level: l, ReplaceAttr: printable.LogTime}
	switch format {
	case "json":
		return logr.FromSlogHandler(slog.NewJSONHandler(w, o)), nil
	case "text":
		return logr.FromSlogHandler(slog.NewTextHandler(w, o)), nil
	}
	return logr.Logger{}, fmt.Errorf("log format %q: want json or text", format)
}

// OfProgram returns a logger as Logger does, and makes it the log of the whole program: what the standard library and gRPC log by
// themselves, such as a panic of an HTTP handler, goes the same way, since written to stderr it would wait for who reads that. That a
// reader has gone does not end the program. Call it once, before anything is served.
func (q *Queue) OfProgram(format, level string) (logr.Logger, error) {
	log, err := q.Logger(format, level)
	if err != nil {
		return logr.Logger{}, err
	}
	signal.Ignore(syscall.SIGPIPE)
	handler := logr.ToSlogHandler(log)
	slog.SetDefault(slog.New(handler))
	slog.SetLogLoggerLevel(slog.LevelError)
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, slog.NewLogLogger(handler, slog.LevelError).Writer()))
	return log, nil
}

// Register registers how many lines the log has lost.
func (q *Queue) Register(reg prometheus.Registerer) error {
	return reg.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "bearerguard_log_lines_dropped_total",
		Help: "Lines of the log that were lost, since nobody read them in time or they could not be written.",
	}, func() float64 { return float64(q.Dropped()) }))
}
