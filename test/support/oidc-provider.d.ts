/** As much of oidc-provider, which comes without types, as the tests use. */
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http';
  import type { JWK } from 'jose';

  interface ResourceServer {
    scope: string;
    audience: string;
    accessTokenFormat: 'jwt';
    accessTokenTTL: number;
    jwt: { sign: { alg: string } };
  }

  interface Configuration {
    jwks: { keys: readonly JWK[] };
    clients: readonly Record<string, unknown>[];
    ttl: { ClientCredentials: (context: unknown, token: unknown) => number };
    features: {
      clientCredentials: { enabled: boolean };
      devInteractions: { enabled: boolean };
      resourceIndicators: {
        enabled: boolean;
        getResourceServerInfo: (context: unknown, resource: string) => ResourceServer;
      };
    };
  }

  export class Provider {
    constructor(issuer: string, configuration: Configuration);
    callback(): RequestListener;
  }
}
