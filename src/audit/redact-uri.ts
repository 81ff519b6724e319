/** What a URI may say in the audit log: where a request went, never a credential that it carried. */

/** Query names, in lower case, whose values say what was asked and never hold a credential. */
const harmlessNames: ReadonlySet<string> = new Set([
  'api-version',
  'maxresults',
  '$skiptoken',
  'outcontenttype',
  'resource',
  'client_id',
  'object_id',
  'msi_res_id',
  'scope',
  'includepending',
  'request_id',
  '$filter',
  '$top',
]);

/** `uri` without user information and fragment, and with every query value that is not known to be harmless replaced. */
export function redactUri(uri: string): string {
  const fragment = uri.indexOf('#');
  const whole = fragment === -1 ? uri : uri.slice(0, fragment);
  const question = whole.indexOf('?');
  if (question === -1) return withoutUserInformation(whole);
  return `${withoutUserInformation(whole.slice(0, question))}?${redactQuery(whole.slice(question + 1))}`;
}

/** The scheme and slashes, counted as generously as URL parsers do, then the authority up to its last `@`. */
const userInformation = /^([^/\\]*[/\\]{2,}|[^/\\]*:[/\\]|(?![/\\]))[^/\\]*@/;

function withoutUserInformation(beforeQuery: string): string {
  return beforeQuery.includes('@') ? beforeQuery.replace(userInformation, '$1') : beforeQuery;
}

/** Parts end at `&`, and at `;` as in older parsers, so that a value cannot ride along behind a harmless name. */
function redactQuery(query: string): string {
  let redacted = '';
  let start = 0;
  for (let i = 0; i <= query.length; i += 1) {
    const unit = query[i];
    if (i < query.length && unit !== '&' && unit !== ';') continue;
    redacted += redactPart(query.slice(start, i)) + (unit ?? '');
    start = i + 1;
  }
  return redacted;
}

function redactPart(part: string): string {
  if (part === '') return '';
  const equals = part.indexOf('=');
  // Without a `=`, the text may as well be a value.
  if (equals === -1) return isHarmless(part) ? part : 'REDACTED';
  const name = part.slice(0, equals);
  return isHarmless(name) ? part : `${name}=REDACTED`;
}

function isHarmless(name: string): boolean {
  if (!name.includes('%')) return harmlessNames.has(name.toLowerCase());
  try {
    return harmlessNames.has(decodeURIComponent(name).toLowerCase());
  } catch {
    // Not percent-encoding: no name that the server knows.
    return false;
  }
}
