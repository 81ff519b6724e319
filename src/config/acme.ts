/** The settings of ACME authorities (`acme`), which a file alone can hold: which there are, and how names are proven. */
import { isIP } from 'node:net';
import * as v from 'valibot';

/** By the name of the provider that issuers say: Azure's two, and the one that most use. */
const publicDirectories = {
  LetsEncrypt: { url: 'https://acme-v02.api.letsencrypt.org/directory' },
  DigiCert: { url: 'https://acme.digicert.com/v2/acme/directory/' },
  GlobalSign: { url: 'https://emea.acme.atlas.globalsign.com/directory' },
} as const;

/** Providers that are no ACME authorities. */
const reservedNames = ['self', 'unknown', 'strongroom'];

const dnsName = v.pipe(
  v.string(),
  v.toLowerCase(),
  v.regex(
    /^(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/,
    'It must be a domain name without a dot at the end.',
  ),
);

function parsedUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

const httpsUrl = v.pipe(
  v.string(),
  v.check((text) => {
    const url = parsedUrl(text);
    return url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
  }, 'It must be an https URL without credentials.'),
);
const httpsOrigin = v.pipe(
  httpsUrl,
  v.transform((text) => new URL(text)),
  v.check(
    ({ pathname, search }) => pathname === '/' && search === '',
    'It must be https://HOST or https://HOST:PORT.',
  ),
  v.transform(({ origin }) => origin),
);
const serviceUrl = v.pipe(
  v.string(),
  v.check((text) => {
    const url = parsedUrl(text);
    const isLoopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url?.hostname ?? '');
    const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback);
    return isSafe && url?.username === '' && url.password === '';
  }, 'It must be an https URL, or http on this machine, without credentials.'),
);

const directory = v.strictObject({
  url: httpsUrl,
  /** PEM file: the only authorities that the directory's own TLS certificate may be from. */
  ca: v.optional(v.string()),
  /** Origins besides the directory's that its documents lead to; most need none. */
  origins: v.optional(v.array(httpsOrigin), []),
});
const directoryName = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'It must be a name of letters, digits, dots and hyphens.'),
  v.check((name) => !reservedNames.includes(name.toLowerCase()), 'It is the name of another provider.'),
);

const dnsServer = v.pipe(
  v.string(),
  v.transform(parseServer),
  v.check((server) => server !== undefined, 'It must be HOST, HOST:PORT or [ADDRESS]:PORT.'),
  v.transform((server) => server ?? { host: '', port: 0 }),
);

const rfc2136 = v.strictObject({
  server: dnsServer,
  /** The zone of all records; by default the server is asked which zone a name is in. */
  zone: v.optional(dnsName),
  keyName: dnsName,
  keyAlgorithm: v.optional(v.picklist(['hmac-sha256', 'hmac-sha512']), 'hmac-sha256'),
  /** A file that holds the key in base64. */
  keySecretFile: v.string(),
});
const webhook = v.strictObject({
  url: serviceUrl,
  /** A file that holds the bearer token. */
  tokenFile: v.string(),
  ca: v.optional(v.string()),
});

const dns01 = v.pipe(
  v.strictObject({
    rfc2136: v.optional(rfc2136),
    webhook: v.optional(webhook),
    /** Seconds from the publishing of a record to when the authority is told to look for it. */
    wait: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(3600)), 10),
  }),
  v.check(
    (by) => (by.rfc2136 === undefined) !== (by.webhook === undefined),
    "It needs 'rfc2136' or 'webhook'.",
  ),
);
const http01 = v.strictObject({
  /** IP addresses to answer at; default: those of the HTTPS listener. */
  listen: v.optional(
    v.array(
      v.pipe(
        v.string(),
        v.check((text) => isIP(text) !== 0, 'It must be an IP address.'),
      ),
    ),
  ),
  /** Authorities ask at port 80: this one, or one that something forwards to this one. */
  port: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535)), 80),
});

/** The checked settings; the directories given come on top of the public ones, and in the place of those of their name. */
export const acmeSettings = v.pipe(
  v.strictObject({
    directories: v.optional(v.record(directoryName, directory), {}),
    challenge: v.optional(v.picklist(['http-01', 'dns-01']), 'http-01'),
    /** Without it nothing listens, and names are proven only where the authority trusts the account already. */
    http01: v.optional(http01),
    dns01: v.optional(dns01),
  }),
  v.check(
    (acme) => acme.challenge !== 'dns-01' || acme.dns01 !== undefined,
    "The challenge dns-01 needs 'dns01'.",
  ),
  v.check(
    ({ directories }) =>
      new Set(Object.keys(directories).map(foldName)).size === Object.keys(directories).length,
    'Two directories have the same name: their case does not tell them apart.',
  ),
  v.transform((acme) => ({ ...acme, directories: withPublic(acme.directories) })),
);

type DirectorySettings = v.InferOutput<typeof directory>;

function withPublic(
  given: Readonly<Record<string, DirectorySettings>>,
): Readonly<Record<string, DirectorySettings>> {
  const named = new Set(Object.keys(given).map(foldName));
  const others = Object.entries(publicDirectories).filter(([name]) => !named.has(foldName(name)));
  return { ...Object.fromEntries(others.map(([name, { url }]) => [name, { url, origins: [] }])), ...given };
}

function foldName(name: string): string {
  return name.toLowerCase();
}

function parseServer(text: string): { host: string; port: number } | undefined {
  const [, bracketed, plain, digits = '53'] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  const isHost = bracketed === undefined ? /^[A-Za-z0-9._-]{1,253}$/.test(host ?? '') : isIP(bracketed) === 6;
  return host !== undefined && isHost && port >= 1 && port <= 65535 ? { host, port } : undefined;
}
