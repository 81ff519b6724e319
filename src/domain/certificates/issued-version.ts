/** One issued version: the certificate, its key and its secret, sealed and ready to be written together. */
import { unixSeconds } from '../../core/clock.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import type { CertificateFacts } from '../../crypto/x509/certificate-reading.ts';
import { writePem, writePfx } from '../../crypto/x509/pkcs12-writing.ts';
import { formatKeyDetail, packMaterial } from '../keys/key-detail.ts';
import { formatSecretDetail } from '../secrets/secrets.ts';
import type { ObjectKey, ObjectVersion, SealedVersion } from '../versioned/object-store.ts';
import { sealAndWipe } from '../versioned/sealed-versions.ts';
import { type Family, familyKeys } from './certificate-family.ts';
import { keyOperationsOf } from './certificate-key.ts';
import { type KeyPair, providerNamed } from './certificate-key-pair.ts';
import type { CertificateDeps } from './certificate-objects.ts';
import type { CertificatePolicy } from './certificate-policy.ts';
import { formatDetail, sealedForm } from './certificate-state.ts';

/** What a version is made of. */
export interface IssuedInput {
  readonly vaultId: string;
  readonly name: string;
  readonly version: string;
  readonly policy: CertificatePolicy;
  readonly pair: KeyPair;
  /** DER, in the order in which the secret is to have them, and the leaf's place in it. */
  readonly chain: readonly Uint8Array[];
  readonly leaf: number;
  readonly facts: CertificateFacts;
  readonly enabled: boolean;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly preserveCertOrder: boolean;
}

export type IssuedVersion = Omit<Family<SealedVersion>, 'pending'>;

/**
 * Seals the three for their places. The dates are those of the certificate, the other attributes are the same for all
 * three (Azure's documents: those of the certificate are mirrored).
 */
export async function sealIssued(deps: CertificateDeps, input: IssuedInput): Promise<IssuedVersion> {
  const keys = familyKeys(input.vaultId, input.name);
  const { policy, pair, facts } = input;
  const now = unixSeconds(deps.clock.now());
  const attributes = {
    version: input.version,
    enabled: input.enabled,
    notBefore: facts.notBefore,
    expires: facts.notAfter,
    created: now,
    updated: now,
    tags: input.tags,
  };
  const certificate: ObjectVersion = {
    ...attributes,
    managed: false,
    detail: formatDetail({
      x5t: facts.x5t,
      subject: facts.content.subject,
      preserveCertOrder: input.preserveCertOrder,
    }),
  };
  const key = {
    ...attributes,
    managed: true,
    detail: formatKeyDetail({
      ...pair.key,
      operations: keyOperationsOf(policy),
      exportable: false,
      releasePolicy: undefined,
    }),
  };
  const secret = { ...attributes, managed: true, detail: formatSecretDetail(policy.contentType) };
  const seal = (at: ObjectKey, version: ObjectVersion, value: SecretBytes) =>
    sealAndWipe(deps, at, { version, value });
  const chain = input.chain.map((der) => Buffer.from(der).toString('base64'));
  const value = sealedForm({ chain, leaf: input.leaf, exportable: policy.key.exportable });
  return {
    certificate: await seal(keys.certificate, certificate, value),
    key: await seal(keys.key, key, packMaterial(pair.material, { exportable: false, policy: undefined })),
    secret: await seal(keys.secret, secret, await secretValue(deps, input)),
  };
}

/** What the linked secret holds: PFX without a password in base64, or PEM; the private key only if it may leave. */
async function secretValue(
  deps: CertificateDeps,
  { policy, pair, chain, leaf }: IssuedInput,
): Promise<SecretBytes> {
  const { key, material } = pair;
  const privateKey = policy.key.exportable
    ? await providerNamed(deps, key.provider).exportPrivate({ spec: key.spec, material })
    : undefined;
  try {
    if (policy.contentType === 'application/x-pem-file') return writePem({ privateKey, chain });
    const pfx = await writePfx({
      privateKey,
      chain,
      leaf,
      password: '',
      random: deps.random,
    });
    const text = SecretBytes.fromText(Buffer.from(pfx.exposeBytes()).toString('base64'));
    pfx.wipe();
    return text;
  } finally {
    privateKey?.wipe();
  }
}
