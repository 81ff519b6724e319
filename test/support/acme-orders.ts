/** Orders for ACME providers, and what the domain does with them between two steps, without the domain. */
import { createHash, webcrypto } from 'node:crypto';
import type { ChallengeBoard } from '../../src/acme/challenge-store.ts';
import type { SecretBytes } from '../../src/core/secret-bytes.ts';
import type { CertificateContent } from '../../src/crypto/x509/certificate-content.ts';
import type {
  CertificateIssuer,
  CertificateOrder,
  IssuerProvider,
  OrderStep,
} from '../../src/domain/certificates/issuer-provider.ts';
import type { Vault } from '../../src/domain/vaults/vault.ts';
import { vaultRecord } from '../contracts/rows.ts';

/** A board in memory, for tests of what stands before it. */
export function memoryBoard(): ChallengeBoard & { readonly answers: Map<string, string> } {
  const answers = new Map<string, string>();
  return {
    answers,
    put: async ({ token, keyAuthorization }) => void answers.set(token, keyAuthorization),
    remove: async (token) => void answers.delete(token),
    find: async (token) => answers.get(token),
  };
}

export function contentFor(
  names: { dnsNames?: readonly string[]; ipAddresses?: readonly string[] },
  subject = '',
): CertificateContent {
  const sans = { emails: [], upns: [], uris: [], dnsNames: [], ipAddresses: [], ...names };
  return { subject, sans, keyUsage: ['digitalSignature'], ekus: ['1.3.6.1.5.5.7.3.1'], ca: false };
}

export interface KeyAndRequest {
  readonly keys: webcrypto.CryptoKeyPair;
  /** PKCS#10, DER. */
  readonly request: Uint8Array;
}

/** A request for the names, made by a library and not by the code under test. */
export async function requestFor({ subject, sans }: CertificateContent): Promise<KeyAndRequest> {
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const names = [
    ...sans.dnsNames.map((value) => ({ type: 'dns' as const, value })),
    ...sans.ipAddresses.map((value) => ({ type: 'ip' as const, value })),
  ];
  const made = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      name: subject,
      keys,
      signingAlgorithm: algorithm,
      extensions: names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)],
    },
    webcrypto,
  );
  return { keys, request: new Uint8Array(made.rawData) };
}

/** An order as the domain keeps it: what steps return is written down here. */
export interface KeptOrder {
  issuer: CertificateIssuer;
  readonly content: CertificateContent;
  readonly request: Uint8Array;
  readonly contacts: readonly string[];
  state: string | undefined;
}

export async function newOrder(
  content: CertificateContent,
  issuer: Partial<CertificateIssuer> = {},
): Promise<KeptOrder> {
  const none = { accountId: undefined, password: undefined, organization: undefined, kept: undefined };
  return {
    issuer: { name: 'authority', ...none, ...issuer },
    content,
    request: (await requestFor(content)).request,
    contacts: ['admin@example.com'],
    state: undefined,
  };
}

export function orderOf(kept: KeptOrder): CertificateOrder {
  return { ...kept, vault: vaultRecord(1) as Vault, validityMonths: 12 };
}

/** Does one step and keeps what it says. */
export async function step(provider: IssuerProvider, kept: KeptOrder): Promise<OrderStep> {
  const made = await provider.advance(orderOf(kept));
  keepStep(kept, made);
  return made;
}

export function keepStep(kept: KeptOrder, made: OrderStep): void {
  const keep: SecretBytes | undefined = made.kind === 'failed' ? undefined : made.keep;
  if (keep !== undefined) kept.issuer = { ...kept.issuer, kept: keep };
  if (made.kind === 'waiting') kept.state = made.state;
}

/** More than any order needs; it ends a test that would go on for ever. */
const mostSteps = 400;

/** Steps until the order is over. `provider` is asked for before each step, so that it can be another one each time. */
export async function finish(provider: () => IssuerProvider, kept: KeptOrder): Promise<OrderStep> {
  for (let count = 0; count < mostSteps; count += 1) {
    const made = await step(provider(), kept);
    if (made.kind !== 'waiting') return made;
  }
  throw new Error(`the order is not over after ${mostSteps} steps: ${kept.state}`);
}

export function phaseOf({ state }: KeptOrder): string | undefined {
  return (JSON.parse(state ?? '{}') as { phase?: string }).phase;
}

/** What dns-01 publishes for a key authorization. */
export function txtOf(keyAuthorization: string): string {
  return createHash('sha256').update(keyAuthorization).digest('base64url');
}
