package keys

import "context"

// Keep brings the Secrets up to date; final says that what nobody wants is to go.
func (k *Keeper) Keep(ctx context.Context, final bool) { k.keep(ctx, final) }
