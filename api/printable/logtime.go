package printable

import "log/slog"

// LogTime is a slog.HandlerOptions.ReplaceAttr that writes the time of a line in one way for all programs: RFC 3339, UTC, with
// milliseconds.
func LogTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		return slog.String(a.Key, a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	}
	return a
}
