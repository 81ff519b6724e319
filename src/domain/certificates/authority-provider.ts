/**
 * The internal authority, provider `Strongroom` of issuer objects: certificates are signed by the key of a certificate of
 * the same vault, at once. There is no revocation; leaves live for days, and renewal gives the next one.
 */
import { type Clock, unixSeconds } from '../../core/clock.ts';
import { Failure, isFailure } from '../../core/errors.ts';
import { isObjectName } from '../../core/names.ts';
import { KeyHandleClosed } from '../../crypto/provider.ts';
import type { CertificateContent, X509Signer } from '../../crypto/x509/certificate-content.ts';
import { issueCertificate } from '../../crypto/x509/certificate-making.ts';
import { readCertificateRequest } from '../../crypto/x509/certificate-reading.ts';
import {
  certifiableContent,
  type IssuingChain,
  NotCertifiable,
  readIssuingChain,
} from '../../crypto/x509/issuing-chain.ts';
import { addDuration } from '../keys/durations.ts';
import { backdating } from './issuance-beginning.ts';
import {
  type CertificateIssuer,
  type CertificateOrder,
  type IssuerProvider,
  OrderPostponed,
  type OrderStep,
  type OrderVault,
} from './issuer-provider.ts';

/** The `provider` of an issuer object that means this. */
export const authorityProviderName = 'Strongroom';

export function isAuthorityProvider(provider: string): boolean {
  return provider.toLowerCase() === authorityProviderName.toLowerCase();
}

/** An authority of a vault, ready to sign. */
export interface AuthorityKey {
  /** DER. */
  readonly certificate: Uint8Array;
  /** What it came with, in any order: its issuers, as far as they are known; none for a root. */
  readonly chain: readonly Uint8Array[];
  readonly signer: X509Signer;
  /** The name of a certificate above it, of the same vault, that is disabled or deleted. */
  readonly stoppedBy?: string | undefined;
  close(): void;
}

/** Where the keys of authorities are. */
export interface AuthorityKeys {
  /** The current version of an enabled, issued certificate and its key; undefined if there is none of that name. */
  current(vault: OrderVault, name: string): Promise<AuthorityKey | undefined>;
}

export interface AuthorityDeps {
  readonly keys: AuthorityKeys;
  readonly clock: Pick<Clock, 'now'>;
  /** What a leaf lives at most. */
  readonly maxDays: number;
}

const day = 86_400_000;
/** What ends sooner would be renewed over and over in the last hours of its authority. */
const shortestLife = day;

/** Codes of failures that are for good. */
type FailureCode =
  | 'AuthorityNotFound'
  | 'AuthorityNotUsable'
  | 'AuthorityExpired'
  | 'RequestNotValid'
  | 'NotCertifiable';

export function createAuthorityProvider(deps: AuthorityDeps): IssuerProvider {
  return {
    isImmediate: true,
    async advance(order) {
      const name = authorityName(order.vault, order.issuer);
      if (name === undefined)
        return failed(
          'AuthorityNotFound',
          "account_id of the issuer is the name of this vault's certificate that signs.",
        );
      try {
        const authority = await deps.keys.current(order.vault, name);
        if (authority === undefined)
          return failed(
            'AuthorityNotFound',
            `There is no enabled certificate ${name} in this vault to sign with.`,
          );
        try {
          return await issue(deps, { order, authority });
        } finally {
          authority.close();
        }
      } catch (error) {
        if (isPassing(error))
          throw new OrderPostponed('AuthorityUnavailable', 'The key of the authority is not available.', {
            cause: error,
          });
        throw error;
      }
    },
  };
}

/** The name of the certificate that signs, said as itself or as its id without a version, which must be of the vault. */
export function authorityName(
  vault: OrderVault,
  { accountId: text = '' }: Pick<CertificateIssuer, 'accountId'>,
): string | undefined {
  if (isObjectName(text)) return text;
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, pathname, search, hash } = new URL(text);
  const [, name] = /^\/certificates\/([^/]+)\/?$/i.exec(pathname) ?? [];
  const isHere = protocol === 'https:' && hostname.split('.', 1)[0] === vault.name.toLowerCase();
  return isHere && search + hash === '' && name !== undefined && isObjectName(name) ? name : undefined;
}

/** What goes away without anybody's asking again. */
function isPassing(error: unknown): boolean {
  return error instanceof KeyHandleClosed || isFailure(error, 'unavailable') || isFailure(error, 'throttled');
}

interface Asked {
  readonly order: CertificateOrder;
  readonly authority: AuthorityKey;
}

async function issue(deps: AuthorityDeps, { order, authority }: Asked): Promise<OrderStep> {
  const { stoppedBy } = authority;
  if (stoppedBy !== undefined)
    throw new OrderPostponed(
      'AuthorityStopped',
      `The certificate ${stoppedBy}, which is above the authority, is disabled or deleted.`,
    );
  try {
    const request = await readCertificateRequest(order.request);
    const chain = await readIssuingChain(authority.certificate, authority.chain);
    const content = await certifiableContent(chain, order.content);
    const times = validity(deps, { order, chain, content });
    if ('kind' in times) return times;
    const leaf = await issueCertificate(authority, { content, publicKey: request.spki, ...times });
    return { kind: 'issued', chain: [leaf, ...chain.certificates] };
  } catch (error) {
    if (error instanceof NotCertifiable)
      return failed(error.about === 'authority' ? 'AuthorityNotUsable' : 'NotCertifiable', error.message);
    if (error instanceof Failure && error.kind === 'badParameter')
      return failed('RequestNotValid', error.message);
    throw error;
  }
}

/** From a little before now until the policy's end, no longer than the authority and, for leaves, the bound. */
function validity(
  { clock, maxDays }: AuthorityDeps,
  asked: { order: CertificateOrder; chain: IssuingChain; content: CertificateContent },
): { notBefore: number; notAfter: number } | OrderStep {
  const { order, chain, content } = asked;
  const now = clock.now();
  if (now < chain.notBefore)
    throw new OrderPostponed('AuthorityNotYetValid', "The authority's certificate is not valid yet.", {
      seconds: Math.ceil((chain.notBefore - now) / 1000),
    });
  if (chain.notAfter - now < shortestLife)
    return failed(
      'AuthorityExpired',
      "The authority's certificate, or one above it, has ended or ends within a day.",
    );
  const asWished = 1000 * addDuration(unixSeconds(now), { months: order.validityMonths, seconds: 0 });
  const bounds = [asWished, chain.notAfter, ...(content.ca ? [] : [now + maxDays * day])];
  return { notBefore: Math.max(now - backdating * 1000, chain.notBefore), notAfter: Math.min(...bounds) };
}

function failed(code: FailureCode, message: string): OrderStep {
  return { kind: 'failed', code, message };
}
