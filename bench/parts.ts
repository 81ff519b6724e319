/** What is asked of the servers, one row for each table. */
import { apiVersion, type Identity, loginHost, tokenRequest, vaultHost } from './client.ts';
import { nameOf, value } from './fill.ts';
import { type Plan, type RequestHead, template } from './requests.ts';

/** A filled database and those who may use it; all servers on it, or on a copy, accept its tokens. */
export interface World {
  readonly identity: Identity;
  readonly token: string;
  /** Each is sent once to a server. */
  readonly tokens: readonly string[];
}

/** Which of the names that are asked for once belongs to a round. */
export interface Turn {
  readonly round: number;
  readonly rounds: number;
}

export interface Part {
  readonly name: string;
  readonly title: string;
  readonly servername: string;
  /** Everything is asked for only once; a round ends when it is through. */
  readonly once?: boolean;
  /** The most connections that are used. */
  readonly atOnce?: number;
  plan(world: World, turn: Turn): Plan;
}

/** How many secrets and tokens there are that are asked for once. */
export interface Supply {
  readonly secrets: number;
  readonly tokens: number;
}

/** Secrets that are written, and those that are written and read. */
export const writtenSecrets = 1000;
export const prefixes = { once: 'once', put: 'put', mixed: 'mixed' } as const;

export const getPath = `/secrets/bench?${apiVersion}`;
export const listPath = (size: number) => `/secrets?${apiVersion}&maxresults=${size}`;

/** The head of a request with the token; `{}` in the path or as the token is for a template's fills. */
export function withToken(token: string, [method, path]: readonly [string, string]): RequestHead {
  const headers = ['User-Agent: bench', 'Accept: application/json', `Authorization: Bearer ${token}`];
  const type = method === 'PUT' ? ['Content-Type: application/json'] : [];
  return { host: vaultHost, method, path, headers: [...headers, ...type] };
}

const body = JSON.stringify({ value });

function get(token: string, path: string, fills?: readonly string[]) {
  return template(withToken(token, ['GET', path]), fills === undefined ? {} : { fills });
}

function put(token: string, prefix: string) {
  return template(withToken(token, ['PUT', `/secrets/{}?${apiVersion}`]), { fills: names(prefix), body });
}

function names(prefix: string): string[] {
  return Array.from({ length: writtenSecrets }, (_, index) => nameOf(prefix, index));
}

/** The table's rows; `supply` bounds the rounds of those that ask for everything once. */
export function partsOf(supply: Supply): readonly Part[] {
  return [
    {
      name: 'get',
      title: 'GET secret, cached',
      servername: vaultHost,
      plan: ({ token }) => [get(token, getPath)],
    },
    {
      name: 'uncached',
      title: 'GET secret, uncached: each request another secret, none twice',
      servername: vaultHost,
      once: true,
      plan: ({ token }, turn) => {
        const [from, to] = share(supply.secrets, turn);
        // So that neighbours in the file are not neighbours in time.
        const some = Array.from({ length: to - from }, (_, index) =>
          nameOf(prefixes.once, ((from + index) * stride) % supply.secrets),
        );
        return [get(token, `/secrets/{}?${apiVersion}`, some)];
      },
    },
    {
      name: 'list',
      title: 'List of secrets, 25 items',
      servername: vaultHost,
      plan: ({ token }) => [get(token, listPath(25))],
    },
    {
      name: 'list1',
      title: 'List of secrets, maxresults=1',
      servername: vaultHost,
      plan: ({ token }) => [get(token, listPath(1))],
    },
    {
      name: 'issue',
      title: 'Token, issued',
      servername: loginHost,
      // A process that has not seen the client secret yet refuses many first sign-ins at the same time.
      atOnce: 16,
      plan: ({ identity }) => [issue(identity)],
    },
    {
      name: 'validate',
      title: 'Token, validated: GET secret, cached, each request with another token, none twice',
      servername: vaultHost,
      once: true,
      plan: ({ tokens }, turn) => [get('{}', getPath, tokens.slice(...share(supply.tokens, turn)))],
    },
    {
      name: 'mixed',
      title: `90 % GET and 10 % PUT of the same ${writtenSecrets} secrets`,
      servername: vaultHost,
      plan: ({ token }) => {
        const all = names(prefixes.mixed);
        // Each of the nine begins elsewhere, so that no name is asked for many times in a row.
        const reads = Array.from({ length: 9 }, (_, index) =>
          get(token, `/secrets/{}?${apiVersion}`, [...all.slice(index * 97), ...all.slice(0, index * 97)]),
        );
        return [...reads, put(token, prefixes.mixed)];
      },
    },
    {
      name: 'put',
      title: `PUT secret, durable, ${writtenSecrets} names in turn`,
      servername: vaultHost,
      plan: ({ token }) => [put(token, prefixes.put)],
    },
  ];
}

/** A step through a set that visits all of it, in no order: a prime that divides no size in use. */
export const stride = 999_983;

function share(supply: number, { round, rounds }: Turn): [number, number] {
  const size = Math.floor(supply / (rounds + 1));
  return [round * size, (round + 1) * size];
}

function issue(identity: Identity) {
  const { path, type, body: form } = tokenRequest(identity);
  const headers = [`Content-Type: ${type}`];
  return template({ host: loginHost, method: 'POST', path, headers }, { body: form });
}
