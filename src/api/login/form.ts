/** The form of a request to a login endpoint, read strictly: what is given twice could be read two ways. */
import { Failure } from '../../core/errors.ts';
import { readText } from '../body.ts';
import type { Exchange } from '../exchange.ts';

const largestForm = 64 * 1024;
/** No grant has twenty. */
const mostParameters = 100;

/** Reads a form of at most 64 KiB and 100 parameters; fails with `invalidRequest`. */
export async function readForm(exchange: Exchange): Promise<URLSearchParams> {
  if (!/^application\/x-www-form-urlencoded\b/i.test(exchange.request.headers['content-type'] ?? '')) {
    throw new Failure('invalidRequest', 'The body must be application/x-www-form-urlencoded.');
  }
  const form = new URLSearchParams(await readText(exchange, largestForm));
  if (form.size > mostParameters)
    throw new Failure('invalidRequest', `The body has more than ${mostParameters} parameters.`);
  // RFC 6749 §3.2: parameters must not be included more than once.
  if (new Set(form.keys()).size < form.size)
    throw new Failure('invalidRequest', 'A parameter is given more than once.');
  return form;
}

/** The value of a parameter; fails with `invalidRequest` if it is missing or empty. */
export function required(form: Pick<URLSearchParams, 'get'>, name: string): string {
  const value = form.get(name);
  if (value !== null && value !== '') return value;
  throw new Failure('invalidRequest', `The request body must contain the following parameter: '${name}'.`);
}
