/** OpenSSL's command line as the judge of what is downloaded. */
import { X509Certificate } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findTool, run, type TemporaryFolder, temporaryFolder } from './process.ts';

export const hasOpenssl = findTool('openssl') !== undefined;

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates in a text, in their order. */
export function certificatesIn(pem: string): X509Certificate[] {
  return [...pem.matchAll(certificateBlock)].map(([block]) => new X509Certificate(block));
}

/**
 * What OpenSSL finds in a PFX without a password: the key, the certificate that is the key's, and the others. Throws if
 * it does not read the file.
 */
export async function readPfx(base64: string): Promise<{ key: string; leaf: string; others: string }> {
  return within(async (path) => {
    const file = path('file.pfx');
    await writeFile(file, Buffer.from(base64, 'base64'));
    const part = (...which: string[]) =>
      openssl(['pkcs12', '-in', file, '-passin', 'pass:', '-nodes', ...which]);
    return {
      key: await part('-nocerts'),
      leaf: await part('-clcerts', '-nokeys'),
      others: await part('-cacerts', '-nokeys'),
    };
  });
}

/** PEM texts and who is asked about them. */
export interface Verified {
  readonly leaf: string;
  readonly others: string;
  /** The only one that is trusted. */
  readonly root: string;
  readonly host: string;
  /** Unix seconds; default: the machine's time. */
  readonly at?: number;
}

/** Whether OpenSSL takes the certificate for a TLS server's of that name; its words if not. */
export async function verified({ leaf, others, root, host, at }: Verified): Promise<'OK' | string> {
  return within(async (path) => {
    await writeFile(path('leaf.pem'), leaf);
    await writeFile(path('others.pem'), others);
    await writeFile(path('root.pem'), root);
    const time = at === undefined ? [] : ['-attime', String(at)];
    const untrusted = others === '' ? [] : ['-untrusted', path('others.pem')];
    const trusted = ['-no-CApath', '-no-CAstore', '-CAfile', path('root.pem'), ...untrusted];
    const checks = ['-x509_strict', '-purpose', 'sslserver', '-verify_hostname', host, ...time];
    const ran = await run('openssl', ['verify', ...trusted, ...checks, path('leaf.pem')]);
    return ran.code === 0 ? 'OK' : ran.stderr;
  });
}

async function openssl(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await run('openssl', args);
  if (code !== 0) throw new Error(`openssl ${args[0]}: ${stderr}`);
  return stdout;
}

async function within<T>(work: (path: (name: string) => string) => Promise<T>): Promise<T> {
  const folder: TemporaryFolder = await temporaryFolder();
  try {
    return await work((name) => join(folder.path, name));
  } finally {
    await folder.remove();
  }
}
