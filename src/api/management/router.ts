/** Finds the row for a request to the management plane, or says as Azure does why there is none. */
import FindMyWay from 'find-my-way';
import { parseScope } from '../../authorization/scopes.ts';
import { Failure } from '../../core/errors.ts';
import { foldCase } from '../../core/names.ts';
import { joinPath, type Segments, scopeOf } from './path.ts';
import type { ManagementRoute, PathParameters } from './route.ts';

/** A row, what the path says, and the ARM scope that its action is asked at. */
export interface FoundManagementRoute {
  readonly route: ManagementRoute;
  readonly params: PathParameters;
  readonly scope: string;
  /** For a row below any ARM id: that id, '' for the root; undefined for the others. */
  readonly below: string | undefined;
}

export interface ManagementRouter {
  /** Throws 404 or 405 when no row matches. */
  find(method: string, segments: Segments): FoundManagementRoute;
}

const scopePrefix = '{scope}/';

export function createManagementRouter(routes: readonly ManagementRoute[]): ManagementRouter {
  const plain = newRouter();
  const scoped = newRouter();
  /** Namespaces of the rows below any scope. */
  const extensions = new Set<string>();
  for (const route of routes) {
    const isScoped = route.path.startsWith(scopePrefix);
    const path = isScoped ? route.path.slice(scopePrefix.length - 1) : route.path;
    (isScoped ? scoped : plain).on(route.method, path, () => undefined, route);
    if (isScoped) extensions.add(foldCase(path.split('/')[2] ?? ''));
  }
  const findScoped = (method: string, segments: Segments): FoundManagementRoute | undefined => {
    const at = lastExtension(segments, extensions);
    const found = at < 0 ? undefined : match(scoped, method, segments.slice(at));
    if (found === undefined) return undefined;
    const below = at === 0 ? '' : `/${segments.slice(0, at).join('/')}`;
    // A half of an id, or one within another, must not be taken for the whole that it begins or ends with.
    if (below !== '' && !isWholeId(below)) return undefined;
    const params = { ...found.params, scope: below };
    return { route: found.route, params, below, scope: found.route.scope?.(params) ?? (below || '/') };
  };
  const isPath = (segments: Segments) =>
    methods.some(
      (method) => findScoped(method, segments) !== undefined || match(plain, method, segments) !== undefined,
    );
  return {
    find(method, segments) {
      const below = findScoped(method, segments);
      if (below !== undefined) return below;
      const found = match(plain, method, segments);
      if (found === undefined) throw notRouted(segments, isPath(segments));
      const scope = found.route.scope?.(found.params) ?? scopeOf(segments);
      return { ...found, scope, below: undefined };
    },
  };
}

/** Resources of one provider within those of another are not served, and must not be taken for those around them. */
function isWholeId(text: string): boolean {
  const providers = text.split('/').filter((segment) => foldCase(segment) === 'providers');
  return providers.length <= 1 && parseScope(text) !== undefined;
}

type Router = FindMyWay.Instance<FindMyWay.HTTPVersion.V1>;

function newRouter(): Router {
  return FindMyWay({ caseSensitive: false, ignoreTrailingSlash: true, maxParamLength: 4096 });
}

function match(
  router: Router,
  method: string,
  segments: Segments,
): { route: ManagementRoute; params: PathParameters } | undefined {
  const found = router.find(method as FindMyWay.HTTPMethod, joinPath(segments));
  if (found === null) return undefined;
  return { route: found.store as ManagementRoute, params: found.params as PathParameters };
}

/** Where the last `/providers/NAMESPACE` of the path begins, if rows below any scope are that namespace's; or -1. */
function lastExtension(segments: Segments, extensions: ReadonlySet<string>): number {
  for (let at = segments.length - 2; at >= 0; at -= 1) {
    if (foldCase(segments[at] ?? '') !== 'providers') continue;
    return extensions.has(foldCase(segments[at + 1] ?? '')) ? at : -1;
  }
  return -1;
}

/** Those that tell of a resource. HEAD asks whether there is any, of whichever type, and tells of none. */
const methods = ['GET', 'PUT', 'POST', 'PATCH', 'DELETE'];

/** `isPath`: there is something there, for other methods. */
function notRouted(segments: Segments, isPath: boolean): Failure {
  if (isPath)
    return new Failure('methodNotAllowed', 'The requested resource does not support this http method.');
  const providers = segments.findLastIndex((segment) => foldCase(segment) === 'providers');
  const [namespace = '', type = ''] = providers < 0 ? [] : segments.slice(providers + 1);
  if (namespace === '' || type === '')
    return new Failure('notFound', 'The requested resource does not exist.');
  return new Failure(
    'resourceTypeNotFound',
    `The resource type '${type.slice(0, 64)}' could not be found in the namespace '${namespace.slice(0, 64)}'.`,
  );
}
