/** What a token is asked for: `resource` of v1.0 and `scope` of v2.0. */
import { Failure } from '../../core/errors.ts';
import { required } from './form.ts';

type Form = Pick<URLSearchParams, 'get'>;

/** What a user's client asks for. */
export interface AskedScopes {
  /** The resource, to the letter: a trailing slash stays. */
  readonly audience: string;
  /** The `scp` of the access token. */
  readonly scp: string;
  /** The resource's scopes as the reply names them, those that were asked for among them. */
  readonly granted: readonly string[];
  /** Whether an ID token, and a refresh token, are wanted. */
  readonly openId: boolean;
  readonly offline: boolean;
}

const defaultScope = '/.default';
/** OpenID Connect Core 1.0 §5.4 and §11. */
const openIdScopes: readonly string[] = ['openid', 'profile', 'email', 'offline_access'];
/** The one scope of Azure's own services for signed-in users. */
const usualScope = 'user_impersonation';
const mostScopes = 20;

/** The resource of an application's own token: of `resource`, or of the one scope `RESOURCE/.default`. */
export function applicationAudience(form: Form): string {
  const resource = form.get('resource');
  if (resource !== null && resource !== '') return resource;
  // MSAL for Go and others ask for OpenID Connect's in every request; they mean nothing where no user signs in.
  const [scope, ...others] = words(required(form, 'scope')).filter((word) => !openIdScopes.includes(word));
  if (scope === undefined || others.length > 0 || !scope.endsWith(defaultScope) || scope === defaultScope) {
    throw new Failure(
      'invalidScope',
      `The provided value for the input parameter 'scope' is not valid. An application asks for one resource, by its identifier with '${defaultScope}' after it.`,
    );
  }
  return scope.slice(0, -defaultScope.length);
}

/**
 * What a user's client asks for; `graph` is the resource of scopes that name none. v1.0's `resource` means all that the
 * resource has, with an ID token and a refresh token. Fails with `invalidScope`.
 */
export function userScopes(scopeText: string, graph: string): AskedScopes {
  const asked = words(scopeText);
  if (asked.length > mostScopes) throw invalidScope();
  const openId = asked.filter((word) => openIdScopes.includes(word));
  const parts = asked.filter((word) => !openIdScopes.includes(word)).map((word) => apart(word, graph));
  const audience = parts[0]?.resource ?? graph;
  if (parts.some(({ resource }) => resource !== audience)) {
    throw new Failure(
      'invalidScope',
      "AADSTS28000: The provided value for the input parameter 'scope' names more than one resource. Ask for one at a time.",
    );
  }
  const names = parts.map(({ name }) => name);
  const isWhole = names.length === 0 || names.includes('.default');
  return {
    audience,
    scp: [...new Set(names.map((name) => (name === '.default' ? usualScope : name)))].join(' ') || usualScope,
    granted: [
      ...(isWhole && parts.length > 0 ? [`${audience}/${usualScope}`] : []),
      ...parts.map(({ word }) => word),
    ],
    openId: openId.includes('openid'),
    offline: openId.includes('offline_access'),
  };
}

/** `resource` as the scope that means the same; undefined for a form that has none. */
export function resourceAsScope(form: Form): string | undefined {
  const resource = form.get('resource');
  if (resource === null || resource === '') return undefined;
  if (/\s/.test(resource)) throw invalidScope();
  return `${resource}${defaultScope} openid offline_access`;
}

function apart(word: string, graph: string): { word: string; resource: string; name: string } {
  const slash = word.lastIndexOf('/');
  const name = word.slice(slash + 1);
  const resource = slash < 0 ? graph : word.slice(0, slash);
  if (resource === '' || !/^[\w.:-]{1,128}$/.test(name)) throw invalidScope();
  return { word, resource, name };
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}

function invalidScope(): Failure {
  return new Failure('invalidScope', "The provided value for the input parameter 'scope' is not valid.");
}
