/**
 * The server's own certificate authority and the leaf certificates made under it, kept as sealed items, so that a
 * restart presents the same ones and needs no certificate library.
 */
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import { SecretBytes } from '../../core/secret-bytes.ts';
import {
  certificateTimes,
  createAuthority,
  issueLeaf,
  type LeafKeyType,
} from '../../crypto/x509/authority.ts';
import { permittedNames } from '../../crypto/x509/name-constraints.ts';
import { coversNames } from '../../crypto/x509/server-names.ts';
import type { SealedItems } from './sealed-items.ts';

export interface LeafNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

export interface ServerLeaf {
  readonly chainPem: string;
  readonly privateKeyPem: SecretBytes;
  readonly notBefore: number;
  readonly renewAt: number;
}

export interface ServerCertificates {
  readonly authorityPem: string;
  leaf(names: LeafNames): Promise<ServerLeaf>;
  /** An RSA-2048 leaf, apart from the listener's, for statements that the server signs. */
  signingLeaf(names: LeafNames): Promise<ServerLeaf>;
}

const authorityItem = 'authority';
const authorityDays = 3650;
const leafDays = 90;
const day = 24 * 60 * 60 * 1000;
/** An authority with less left than this could not outlast the leaves that it makes. */
const authorityReserve = 2 * leafDays * day;

interface Deps {
  readonly items: SealedItems;
  readonly clock: Clock;
  readonly log: Log;
}

interface Authority {
  readonly certificatePem: string;
  readonly privateKey: SecretBytes;
}

/** Opens the authority, making it at the first start, and anew when it nears its end or lacks a wanted name. */
export async function openServerCertificates(
  deps: Deps,
  permitted: { dnsNames: readonly string[]; ipRanges: readonly string[] },
): Promise<ServerCertificates> {
  const authority = await openAuthority(deps, permitted);
  return {
    authorityPem: authority.certificatePem,
    leaf: (names) => openLeaf(deps, authority, { item: `leaf/${names.dnsNames.join(',')}`, names }),
    signingLeaf: (names) =>
      openLeaf(deps, authority, {
        item: `signing-leaf/${names.dnsNames.join(',')}`,
        names,
        keyType: 'RSA-2048',
      }),
  };
}

async function openAuthority(
  deps: Deps,
  permitted: { dnsNames: readonly string[]; ipRanges: readonly string[] },
): Promise<Authority> {
  const now = deps.clock.now();
  const wanted = [...permitted.dnsNames, ...permitted.ipRanges].sort().join(' ');
  const stored = await deps.items.read(authorityItem);
  if (stored !== undefined) {
    const { certificatePem, privateKey, covers } = JSON.parse(stored.value.exposeText()) as StoredAuthority;
    if (covers === wanted && certificateTimes(certificatePem).notAfter - now > authorityReserve) {
      return { certificatePem, privateKey: new SecretBytes(Buffer.from(privateKey, 'base64')) };
    }
    deps.log.warn(
      'A new certificate authority replaces the old one: clients must be given its certificate anew.',
    );
  }
  const { certificatePem, privateKey } = await createAuthority({
    commonName: 'Strongroom local authority',
    permittedDnsNames: [...permitted.dnsNames],
    permittedIpRanges: [...permitted.ipRanges],
    now,
    validityDays: authorityDays,
  });
  const record: StoredAuthority = {
    certificatePem,
    privateKey: Buffer.from(privateKey.exposeBytes()).toString('base64'),
    covers: wanted,
  };
  const value = SecretBytes.fromText(JSON.stringify(record));
  // Another node that starts at the same moment may have been quicker: all must serve under one authority.
  if (!(await deps.items.swap(authorityItem, value, stored?.mark))) return openAuthority(deps, permitted);
  return { certificatePem, privateKey };
}

interface StoredAuthority {
  readonly certificatePem: string;
  readonly privateKey: string;
  /** The names that it was made for. */
  readonly covers: string;
}

interface WantedLeaf {
  /** Name of the sealed item that it is kept in. */
  readonly item: string;
  readonly names: LeafNames;
  readonly keyType?: LeafKeyType;
}

async function openLeaf(deps: Deps, authority: Authority, of: WantedLeaf): Promise<ServerLeaf> {
  const stored = await deps.items.get(of.item);
  if (stored !== undefined) {
    const { chainPem, privateKey } = JSON.parse(stored.exposeText()) as StoredLeaf;
    const times = timesOf(chainPem);
    const now = deps.clock.now();
    // A leaf of an authority that has been replaced since would be trusted by nobody, and so would one that was made
    // while the clock was ahead.
    const isUsable = times.notBefore <= now && now < times.renewAt;
    if (isUsable && chainPem.includes(authority.certificatePem.trim())) {
      return { chainPem, privateKeyPem: SecretBytes.fromText(privateKey), ...times };
    }
  }
  return makeLeaf(deps, authority, of);
}

async function makeLeaf(deps: Deps, authority: Authority, of: WantedLeaf): Promise<ServerLeaf> {
  const permitted = await permittedNames(authority.certificatePem);
  const { dnsNames, ipAddresses } = of.names;
  if (
    permitted !== undefined &&
    !coversNames(permitted, { dnsNames: [...dnsNames], ipAddresses: [...ipAddresses] })
  ) {
    throw new RangeError(`the authority is not made for ${dnsNames.join(', ')}`);
  }
  const { chainPem, privateKeyPem } = await issueLeaf(authority, {
    dnsNames: [...dnsNames],
    ipAddresses: [...ipAddresses],
    now: deps.clock.now(),
    validityDays: leafDays,
    ...(of.keyType === undefined ? {} : { keyType: of.keyType }),
  });
  const record: StoredLeaf = { chainPem, privateKey: privateKeyPem.exposeText() };
  await deps.items.put(of.item, SecretBytes.fromText(JSON.stringify(record)));
  return { chainPem, privateKeyPem, ...timesOf(chainPem) };
}

interface StoredLeaf {
  readonly chainPem: string;
  readonly privateKey: string;
}

/** Renewed after two thirds of its life, so that a server that is off for weeks still comes back in time. */
function timesOf(pem: string): Pick<ServerLeaf, 'notBefore' | 'renewAt'> {
  const { notBefore, notAfter } = certificateTimes(pem);
  return { notBefore, renewAt: notAfter - (notAfter - notBefore) / 3 };
}
