// The OpenID provider itself: which clients and resources there are, and what a token of theirs looks like.
import Provider, { errors } from 'oidc-provider'

function clientMetadata([id, client]) {
  return {
    client_id: id,
    client_secret: client.secret,
    scope: client.scopes.join(' '),
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'client_secret_basic',
  }
}

// newProvider makes a provider that issues JWT access tokens (RFC 9068) for the resource a client names (RFC 8707).
// config is config.json's content: a client's algorithm overrides its resource's; a lifetime is in seconds, 600 by default.
export function newProvider(issuer, config, jwks) {
  const { clients, resources } = config

  function getResourceServerInfo(ctx, indicator, client) {
    const resource = resources[indicator]
    if (!resource) throw new errors.InvalidTarget()
    const { algorithm, lifetime = 600 } = clients[client.clientId]
    return {
      audience: resource.audience,
      scope: resource.scopes.join(' '),
      accessTokenFormat: 'jwt',
      accessTokenTTL: lifetime,
      jwt: { sign: { alg: algorithm ?? resource.algorithm } },
    }
  }

  return new Provider(issuer, {
    jwks,
    clients: Object.entries(clients).map(clientMetadata),
    scopes: [...new Set(Object.values(resources).flatMap((r) => r.scopes))],
    extraTokenClaims: (ctx, token) => clients[token.clientId].claims,
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: { enabled: true, getResourceServerInfo },
    },
  })
}
