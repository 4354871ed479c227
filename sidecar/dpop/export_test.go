package dpop

// Normal is normal.
func Normal(url string) (string, bool) { return normal(url) }
