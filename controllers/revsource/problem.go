package revsource

import "errors"

var errDisabled = errors.New("the controller runs without the port for events; want revocationSources.enabled: true of the chart (--events-port)")

// conflictError says that another source has the path.
type conflictError struct{ path, holder string }

// Error names the holder.
func (e *conflictError) Error() string {
	return "path: " + e.path + " is the endpoint of RevocationSource " + e.holder + ", which is older; want another path"
}
