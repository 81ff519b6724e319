/**
 * Where PostgreSQL is and how it is trusted: a `postgres://` URL in, checked settings out. TLS with a verified
 * certificate is the rule; only an explicit word gives less. No error tells anything of the URL but its host.
 */
import { readFileSync } from 'node:fs';

export interface PostgresSettings {
  /**
   * `postgres://user:password@host:port/database`, with the parameters `sslmode`, `sslrootcert`, `user`, `host`
   * (for a Unix socket: its folder) and `port`. Parts have to be percent-encoded.
   */
  readonly url: string;
  /** PEM file of the authorities that may sign the server's certificate; without it, those that Node trusts. */
  readonly tlsCa?: string | undefined;
  /** `verify` unless given; `insecureUnverified` encrypts without checking the server's certificate. */
  readonly tlsMode?: 'verify' | 'insecureUnverified' | undefined;
  /** The most connections for queries, at least 1; two more are for hearing of changes and for migrations. */
  readonly poolSize: number;
}

export interface TlsSettings {
  readonly ca?: string;
  readonly rejectUnauthorized: boolean;
  /** False for `sslmode=verify-ca`: the authority is checked, the name is not. */
  readonly checkName: boolean;
}

/** Where to connect, parsed. `host` that begins with `/` is the folder of a Unix socket. */
export interface PostgresAddress {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: () => string;
  readonly database: string;
  /** Undefined: the connection is not encrypted. */
  readonly tls: TlsSettings | undefined;
}

/** The settings of the database cannot be used; the message names the setting and never its secret parts. */
export class InvalidPostgresSettings extends Error {
  override readonly name = 'InvalidPostgresSettings';
}

const parameters: readonly string[] = ['sslmode', 'sslrootcert', 'host', 'port', 'user'];

/** Parses and checks; throws `InvalidPostgresSettings`, also when a certificate file cannot be read. */
export function parsePostgresSettings(settings: PostgresSettings): PostgresAddress {
  const url = parseUrl(settings.url);
  for (const name of url.searchParams.keys()) {
    if (!parameters.includes(name)) throw invalid(`the parameter '${name}' is not supported`);
    if (url.searchParams.getAll(name).length > 1) throw invalid(`the parameter '${name}' is given twice`);
  }
  if (!Number.isInteger(settings.poolSize) || settings.poolSize < 1)
    throw invalid('the pool needs a connection');
  const host = url.searchParams.get('host') ?? decoded(url.hostname).replace(/^\[(.*)\]$/, '$1');
  if (host === '') throw invalid('it names no host');
  if (host.includes(',')) throw invalid('it names several hosts; give the address that leads to the primary');
  const port = Number(url.searchParams.get('port') ?? (url.port === '' ? 5432 : url.port));
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw invalid('its port is not a number of 1 to 65535');
  const user = url.searchParams.get('user') ?? decoded(url.username);
  if (user === '') throw invalid('it names no user');
  const secret = decoded(url.password);
  const database = decoded(url.pathname.slice(1));
  if (database === '') throw invalid('it names no database');
  return { host, port, user, password: () => secret, database, tls: tlsOf(host, url.searchParams, settings) };
}

/** Whether what is sent to the host stays on this machine. */
export function isLocal(host: string): boolean {
  return (
    host.startsWith('/') ||
    host === 'localhost' ||
    host === '::1' ||
    /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
  );
}

function parseUrl(text: string): URL {
  // The error of `new URL` holds its input, and with that the password: it goes no further.
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:'))
    throw invalid('it is not a URL of the form postgres://user:password@host:port/database');
  if (url.hash !== '') throw invalid("a '#' in it has to be written as %23");
  return url;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw invalid('its percent-encoding is broken');
  }
}

/**
 * libpq's modes, except where they give less than they seem to: `allow` and `prefer` fall back to plain text when
 * somebody in between asks for it and are refused; `require` checks the certificate, as `verify-full` does.
 */
function tlsOf(host: string, given: URLSearchParams, settings: PostgresSettings): TlsSettings | undefined {
  const mode = given.get('sslmode') ?? undefined;
  // PostgreSQL has no TLS on Unix sockets; libpq too takes no notice of the mode there.
  if (host.startsWith('/') || mode === 'disable') return undefined;
  if (mode === undefined && settings.tlsMode !== 'insecureUnverified' && isLocal(host)) return undefined;
  const file = settings.tlsCa ?? caOf(given);
  const ca = file === undefined ? {} : { ca: readPem(file) };
  if (settings.tlsMode === 'insecureUnverified') {
    if (mode?.startsWith('verify')) throw invalid(`sslmode=${mode} contradicts the setting not to verify`);
    return { rejectUnauthorized: false, checkName: false };
  }
  switch (mode) {
    case undefined:
    case 'require':
    case 'verify-full':
      return { ...ca, rejectUnauthorized: true, checkName: true };
    case 'verify-ca':
      if (file === undefined) throw invalid('sslmode=verify-ca needs a certificate authority of its own');
      return { ...ca, rejectUnauthorized: true, checkName: false };
    default:
      throw invalid(`sslmode=${mode} is not supported; use verify-full, verify-ca or disable`);
  }
}

function caOf(given: URLSearchParams): string | undefined {
  const file = given.get('sslrootcert') ?? undefined;
  return file === 'system' ? undefined : file;
}

function readPem(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new InvalidPostgresSettings(`The certificate authority's file ${file} cannot be read.`, {
      cause: error,
    });
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new InvalidPostgresSettings(`The file ${file} holds no certificate in PEM form.`);
  return text;
}

function invalid(why: string): InvalidPostgresSettings {
  return new InvalidPostgresSettings(`The database URL cannot be used: ${why}.`);
}
