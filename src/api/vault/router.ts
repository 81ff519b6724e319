/** Finds the row for a request to a vault, or says as Azure does why there is none. */
import FindMyWay from 'find-my-way';
import { Failure } from '../../core/errors.ts';
import { isObjectName } from '../../core/names.ts';
import { remember } from '../../core/remember.ts';
import type { VaultRoute } from '../route.ts';

/** A row and what the path says. `version` is undefined for "the current one". */
export interface FoundRoute {
  readonly route: VaultRoute;
  readonly name: string | undefined;
  readonly version: string | undefined;
}

export interface VaultRouter {
  /** Throws 400, 404 or 405 when no row matches, and 400 for an invalid object name. */
  find(request: { method: string; path: string }): FoundRoute;
}

const longestSegment = 4096;
/** Paths of objects with a version have at most 180 characters. */
const remembered = { longest: 192, most: 4096 };

export function createVaultRouter(routes: readonly VaultRoute[]): VaultRouter {
  const router = FindMyWay({
    caseSensitive: false,
    ignoreTrailingSlash: true,
    ignoreDuplicateSlashes: true,
    maxParamLength: longestSegment,
  });
  for (const route of routes)
    for (const path of pathsOf(route)) router.on(route.method, path, () => undefined, route);
  const collections = new Set(routes.map((route) => route.path.split('/')[1] ?? ''));
  const find = (method: string, path: string): FoundRoute => {
    const found = router.find(method as FindMyWay.HTTPMethod, path);
    if (found === null) throw notRouted(collections, method, path);
    const { name, version } = found.params;
    if (name !== undefined && !isObjectName(name)) throw invalidName(name);
    return { route: found.store as VaultRoute, name, version: version === '' ? undefined : version };
  };
  // A row is found by the path alone, so that what was found for a path stays right. Refusals are not remembered.
  const findGet = remember(remembered, (path) => find('GET', path));
  return { find: ({ method, path }) => (method === 'GET' ? findGet(path) : find(method, path)) };
}

/** The router knows optional parameters at the end of a path only. */
function pathsOf({ path }: VaultRoute): string[] {
  return path.includes('/:version?/')
    ? [path.replace('/:version?/', '/'), path.replace('/:version?/', '/:version/')]
    : [path];
}

function notRouted(collections: ReadonlySet<string>, method: string, path: string): Failure {
  const [collection = '', encodedName = '', ...rest] = path.split('/').filter((segment) => segment !== '');
  if (!collections.has(collection.toLowerCase()))
    return new Failure('notFound', 'The requested resource does not exist.');
  // The router gives up on bad percent-encoding and on overlong names before it could find a row.
  const name = decoded(encodedName);
  if (name !== '' && !isObjectName(name)) throw invalidName(name);
  const operation = rest.at(-1);
  // Keys alone answer so (recorded for an empty name, whose segment does not count).
  if (method === 'POST' && collection.toLowerCase() === 'keys' && name !== '' && operation === undefined)
    return new Failure('badParameter', 'Operation not specified');
  if (name === '' || operation === undefined) {
    return new Failure('methodNotAllowed', `HTTP ${method.slice(0, 16)} not allowed`);
  }
  return operationNotAllowed(method, operation);
}

/** A path that would be an operation, but is none for this method or api-version. */
export function operationNotAllowed(method: string, operation: string): Failure {
  return new Failure(
    'badParameter',
    `Method ${method.slice(0, 16)} does not allow operation '${operation.slice(0, 64)}'`,
  );
}

function invalidName(name: string): Failure {
  return new Failure('badParameter', `The request URI contains an invalid name: ${name.slice(0, 256)}`);
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
