// A relying party by openid-client, unmodified: one JSON request a line on standard input, one JSON answer a line.
import { createInterface } from 'node:readline'
import { importJWK } from 'jose'
import * as oidc from 'openid-client'

let config
const remembered = {}

const AUTHENTICATION = {
  client_secret_basic: ({ secret }) => oidc.ClientSecretBasic(secret),
  client_secret_post: ({ secret }) => oidc.ClientSecretPost(secret),
  private_key_jwt: async ({ jwk, alg }) => oidc.PrivateKeyJwt({ key: await importJWK(jwk, alg), kid: jwk.kid }),
  none: () => oidc.None(),
}

const ACTS = {
  async discover({ issuer, client_id, metadata = {}, method, ...credential }) {
    const authentication = await AUTHENTICATION[method](credential)
    const options = { execute: [oidc.allowInsecureRequests] }
    config = await oidc.discovery(new URL(issuer), client_id, metadata, authentication, options)
    return config.serverMetadata()
  },

  async authorize({ redirect_uri, scope, ...more }) {
    remembered.verifier = oidc.randomPKCECodeVerifier()
    remembered.state = oidc.randomState()
    remembered.nonce = oidc.randomNonce()
    const url = oidc.buildAuthorizationUrl(config, {
      redirect_uri,
      scope,
      state: remembered.state,
      nonce: remembered.nonce,
      code_challenge: await oidc.calculatePKCECodeChallenge(remembered.verifier),
      code_challenge_method: 'S256',
      ...more,
    })
    return { url: url.href }
  },

  // `form`: what a form_post sent; without it the answer stands in the query of `url`
  async callback({ url, form }) {
    const body = form && new URLSearchParams(form)
    const answer = body ? new Request(url, { method: 'POST', body }) : new URL(url)
    const tokens = await oidc.authorizationCodeGrant(config, answer, {
      pkceCodeVerifier: remembered.verifier,
      expectedState: remembered.state,
      expectedNonce: remembered.nonce,
      idTokenExpected: true,
    })
    return { ...tokens, claims: tokens.claims() }
  },

  userinfo: ({ access_token, subject }) => oidc.fetchUserInfo(config, access_token, subject),

  async refresh({ refresh_token, ...more }) {
    const tokens = await oidc.refreshTokenGrant(config, refresh_token, more)
    return { ...tokens, claims: tokens.claims() ?? null }
  },

  client_credentials: (more) => oidc.clientCredentialsGrant(config, more),

  introspect: ({ token }) => oidc.tokenIntrospection(config, token),

  async revoke({ token }) {
    await oidc.tokenRevocation(config, token)
    return {}
  },

  logout: (more) => ({ url: oidc.buildEndSessionUrl(config, more).href }),
}

for await (const line of createInterface({ input: process.stdin })) {
  const { act, ...given } = JSON.parse(line)
  let answer
  try {
    answer = { result: await ACTS[act](given) }
  } catch (error) {
    answer = { error: { name: error.name, code: error.code, error: error.error, message: error.message } }
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
