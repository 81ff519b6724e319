/**
 * The listener's certificates: from the operator's own files, or from a private authority made at the first start,
 * whose leaf certificates are made on demand for the TLS server names that clients ask for. Both renew in place.
 */
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock, Timer } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { SecretBytes } from '../core/secret-bytes.ts';
import type { Hosts } from './hosts.ts';

/** Port: an authority that makes leaf certificates; kept between calls and renewed by its maker. */
export interface LeafSource {
  /** The authority's certificate, PEM. */
  readonly authorityPem: string;
  /** A leaf with its chain for these names, from memory or made new when the old one nears its end. */
  leaf(names: LeafNames): Promise<Leaf>;
}

export interface LeafNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

/** PEM, and the times in milliseconds before which and from which a new one should be made. */
export interface Leaf {
  readonly chainPem: string;
  readonly privateKeyPem: SecretBytes;
  readonly notBefore: number;
  readonly renewAt: number;
}

/** A certificate chain and its key, PEM. */
export interface Credential {
  readonly cert: string;
  readonly key: Buffer;
}

export interface Certificates {
  /** For clients that name no server, or one that is not ours. */
  fallback(): Promise<Credential>;
  /** The context for a TLS server name (RFC 6066 §3); undefined where the fallback serves. */
  forName(serverName: string): Promise<SecureContext | undefined>;
  /** Calls `changed` whenever the fallback has to be replaced. */
  onRenewal(changed: (credential: Credential) => void): void;
  close(): void;
}

/** TLS 1.3's suites all have forward secrecy; of TLS 1.2's, those with ECDHE and an AEAD cipher (RFC 9325 §4.2). */
const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** What every context of the listener has besides its certificate. */
export const tlsOptions = { minVersion: 'TLSv1.2', ciphers, honorCipherOrder: true } as const;

const checkEvery = 60_000;

/** The operator's certificate and key files, read again when they change. */
export function certificatesFromFiles(
  deps: { clock: Clock; log: Log },
  files: { cert: string; key: string },
): Certificates {
  const load = (): Credential => {
    const credential = { cert: readFileSync(files.cert, 'utf8'), key: readFileSync(files.key) };
    contextOf(credential); // Throws unless the two fit together.
    return credential;
  };
  const stamp = () => `${statSync(files.cert).mtimeMs} ${statSync(files.key).mtimeMs}`;
  let seen = stamp();
  let credential = load();
  let changed: ((credential: Credential) => void) | undefined;
  const timer = repeat(deps.clock, () => {
    try {
      const now = stamp();
      if (now === seen) return;
      credential = load();
      seen = now;
      changed?.(credential);
      deps.log.info('TLS certificate read again');
    } catch (error) {
      // A renewal tool may be half-way through: keep what works and look again.
      deps.log.warn('The TLS certificate has changed but cannot be used yet.', { error });
    }
  });
  return {
    fallback: async () => credential,
    forName: async () => undefined,
    onRenewal: (notify) => {
      changed = notify;
    },
    close: () => timer.cancel(),
  };
}

/** Certificates of the private authority. */
export function certificatesFromAuthority(
  deps: { clock: Clock; log: Log; hosts: Pick<Hosts, 'certificateNames'>; source: LeafSource },
  fallbackNames: LeafNames,
): Certificates {
  const contexts = new Map<string, { made: ReturnType<typeof make>; isUsable: () => boolean }>();
  // A clock that is set back makes a leaf of its time ahead as useless as one that has ended.
  const usableOf = (leaf: Leaf) => () => {
    const now = deps.clock.now();
    return leaf.notBefore <= now && now < leaf.renewAt;
  };
  const make = async (names: LeafNames): Promise<{ context: SecureContext; isUsable: () => boolean }> => {
    const leaf = await deps.source.leaf(names);
    return { context: contextOf(credentialOf(leaf)), isUsable: usableOf(leaf) };
  };
  const contextFor = async (names: LeafNames): Promise<SecureContext> => {
    const key = names.dnsNames.join(' ');
    const known = contexts.get(key);
    if (known?.isUsable()) return (await known.made).context;
    const made = make(names);
    // Until the leaf is there, others that ask wait for the same one.
    contexts.set(key, { made, isUsable: () => true });
    try {
      const { context, isUsable } = await made;
      contexts.set(key, { made, isUsable });
      return context;
    } catch (error) {
      contexts.delete(key);
      throw error;
    }
  };
  let changed: ((credential: Credential) => void) | undefined;
  let isFallbackUsable = () => true;
  const fallback = async (): Promise<Credential> => {
    const leaf = await deps.source.leaf(fallbackNames);
    isFallbackUsable = usableOf(leaf);
    return credentialOf(leaf);
  };
  const timer = repeat(deps.clock, () => {
    if (isFallbackUsable()) return;
    fallback().then(
      (credential) => changed?.(credential),
      (error: unknown) => deps.log.error('The TLS certificate cannot be renewed.', { error }),
    );
  });
  return {
    fallback,
    async forName(serverName) {
      const dnsNames = deps.hosts.certificateNames(serverName);
      return dnsNames === undefined ? undefined : contextFor({ dnsNames, ipAddresses: [] });
    },
    onRenewal: (notify) => {
      changed = notify;
    },
    close: () => timer.cancel(),
  };
}

/** The operator's certificate for the server's own names, the private authority's for Azure's. */
export function splitCertificates(
  hosts: Pick<Hosts, 'isAzureName'>,
  by: { own: Certificates; azure: Certificates },
): Certificates {
  return {
    fallback: () => by.own.fallback(),
    forName: (name) => (hosts.isAzureName(name) ? by.azure : by.own).forName(name),
    onRenewal: (notify) => by.own.onRenewal(notify),
    close() {
      by.own.close();
      by.azure.close();
    },
  };
}

function credentialOf(leaf: Leaf): Credential {
  return { cert: leaf.chainPem, key: Buffer.from(leaf.privateKeyPem.exposeBytes()) };
}

function contextOf(credential: Credential): SecureContext {
  return createSecureContext({ ...credential, ...tlsOptions });
}

function repeat(clock: Clock, run: () => void): Timer {
  let timer: Timer;
  const again = () => {
    timer = clock.after(checkEvery, () => {
      run();
      again();
    });
  };
  again();
  return { cancel: () => timer.cancel() };
}
