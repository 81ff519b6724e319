/**
 * The few pages that people see: plain HTML without anything from outside, under a policy that lets nothing else in, no
 * frame around it, and forms go to this server and to where the browser is sent afterwards.
 */
import { type Failure, isFailure } from '../../core/errors.ts';
import { oauthError, resultCode, statusOf } from '../errors.ts';
import type { Answer } from '../exchange.ts';

/** HTML that is safe to show: made by `html`, which escapes all that it puts in. */
export interface Html {
  readonly markup: string;
}

/** Puts texts into markup, escaped for element content and quoted attributes; `Html` goes in as it is. */
export function html(
  parts: TemplateStringsArray,
  ...values: readonly (string | Html | readonly Html[])[]
): Html {
  const inserted = values.map((value) => {
    if (typeof value === 'string') return escaped(value);
    return 'markup' in value ? value.markup : value.map(({ markup }) => markup).join('');
  });
  return { markup: parts.map((part, index) => part + (inserted[index] ?? '')).join('') };
}

function escaped(text: string): string {
  return text.replace(/[&<>"'`]/g, (character) => `&#${character.charCodeAt(0)};`);
}

export interface Page {
  readonly title: string;
  readonly content: Html;
  /** Fresh for each page: marks the style, and the script if there is one. */
  readonly nonce: string;
  /** Where forms of the page may lead besides this server. */
  readonly formTarget?: string;
  /** A script of ours. */
  readonly script?: string;
  readonly cookie?: string;
  readonly failure?: Failure;
}

const style =
  'body{font:16px system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem;color:#1b1b1b}' +
  'label{display:block;margin-top:1rem}input{font:inherit;width:100%;box-sizing:border-box;padding:.4rem}' +
  'button{font:inherit;margin:1.5rem .5rem 0 0;padding:.4rem 1rem}.wrong{color:#a80000}';

/** A page as an answer, 200 or the status of its failure. */
export function pageAnswer(page: Page): Answer {
  const { nonce, failure, script } = page;
  const text = failure === undefined ? html`` : html`<p class="wrong" role="alert">${spoken(failure)}</p>`;
  const { markup } = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${page.title}</title><style nonce="${nonce}">${{ markup: style }}</style></head>
<body><h1>${page.title}</h1>${text}${page.content}${
    script === undefined ? html`` : html`<script nonce="${nonce}">${{ markup: script }}</script>`
  }</body></html>
`;
  const policy = [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    ...(script === undefined ? [] : [`script-src 'nonce-${nonce}'`]),
    `form-action 'self'${page.formTarget === undefined ? '' : ` ${page.formTarget}`}`,
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
  return {
    status: failure === undefined ? 200 : statusOf(failure.kind),
    body: markup,
    contentType: 'text/html; charset=utf-8',
    headers: [
      ...['Content-Security-Policy', policy, 'X-Frame-Options', 'DENY', 'Referrer-Policy', 'no-referrer'],
      ...(page.cookie === undefined ? [] : ['Set-Cookie', page.cookie]),
      ...(failure?.retryAfter === undefined ? [] : ['Retry-After', String(failure.retryAfter)]),
    ],
    failure: failure === undefined ? undefined : recorded(failure),
    id: undefined,
  };
}

/** Sends the browser on with GET, whatever it came with. */
export function redirectAnswer(location: string, failure?: Failure): Answer {
  return {
    status: 303,
    body: '',
    contentType: 'text/html; charset=utf-8',
    headers: ['Location', location, 'Referrer-Policy', 'no-referrer'],
    failure: failure === undefined ? undefined : recorded(failure),
    id: undefined,
  };
}

/** True for a refusal that people can be told; what is the server's own fault is thrown on, and logged. */
export function isRefusal(error: unknown): error is Failure {
  return isFailure(error) && statusOf(error.kind) < 500;
}

/** The page for a refusal that goes to nobody else. */
export function refusalPage(failure: Failure, nonce: string): Answer {
  return pageAnswer({ title: 'Sign-in', content: html``, nonce, failure });
}

function recorded(failure: Failure): { code: string; description: string } {
  return { code: resultCode(failure.kind), description: failure.message };
}

/** A sentence for people, with the number that a search engine knows. */
function spoken(failure: Failure): string {
  return oauthError(failure).description;
}
