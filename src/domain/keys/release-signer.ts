/**
 * Signs release replies: compact JWS, RS256, with the certificate chain in the header, so that a client that trusts
 * the server's certificate authority can verify a reply by itself. Key and certificate are made once, kept sealed and
 * renewed by `server-certificates.ts`.
 */
import type { Clock } from '../../core/clock.ts';
import type { SecretBytes } from '../../core/secret-bytes.ts';
import { certificateHeader } from '../../crypto/x509/jws-header.ts';
import type { LeafNames, ServerCertificates } from '../sealing/server-certificates.ts';

export interface ReleaseSigner {
  /** The payload's JSON as a compact JWS. */
  sign(payload: object): Promise<string>;
}

/** Port: a compact JWS over the payload's JSON, its header in the order of its members. */
export type SignCompact = (header: Readonly<Record<string, unknown>>, payload: object) => Promise<string>;

export interface ReleaseSignerDeps {
  readonly clock: Clock;
  readonly certificates: () => Promise<Pick<ServerCertificates, 'signingLeaf'>>;
  /** Takes in an RSA key (PKCS#8, PEM) for RS256. */
  readonly importSigningKey: (privateKeyPem: SecretBytes) => Promise<SignCompact>;
}

interface Ready {
  readonly signCompact: SignCompact;
  readonly header: Readonly<Record<string, unknown>>;
  /** A clock that was set back makes a certificate of its time ahead as useless as one that nears its end. */
  readonly notBefore: number;
  readonly renewAt: number;
}

/**
 * Makes the signer; nothing is made or read before the first reply. `names` are those of the vaults' hosts: clients
 * look for the host that they asked in the certificate.
 */
export function createReleaseSigner(deps: ReleaseSignerDeps, names: LeafNames): ReleaseSigner {
  let ready: Ready | undefined;
  let preparing: Promise<Ready> | undefined;

  async function prepare(): Promise<Ready> {
    const leaf = await (await deps.certificates()).signingLeaf(names);
    const { kid, x5t, ...rest } = certificateHeader(leaf.chainPem);
    ready = {
      signCompact: await deps.importSigningKey(leaf.privateKeyPem),
      header: { alg: 'RS256', kid, x5t, typ: 'JWT', ...rest },
      notBefore: leaf.notBefore,
      renewAt: leaf.renewAt,
    };
    return ready;
  }

  function current(): Promise<Ready> | Ready {
    const now = deps.clock.now();
    if (ready !== undefined && ready.notBefore <= now && now < ready.renewAt) return ready;
    preparing ??= prepare().finally(() => {
      preparing = undefined;
    });
    return preparing;
  }

  return {
    async sign(payload) {
      const { signCompact, header } = await current();
      return signCompact(header, payload);
    },
  };
}
