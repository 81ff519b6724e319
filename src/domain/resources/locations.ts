/** Where a resource is said to be. */
import { Failure } from '../../core/errors.ts';
import { foldCase, isLocation } from '../../core/names.ts';

/** Azure takes `West US` for `westus`. */
export function foldLocation(location: string): string {
  return foldCase(location).replaceAll(' ', '');
}

/** The location as it is kept. Throws for none, and for what cannot be one. */
export function parseLocation(text: string | null | undefined): string {
  const location = foldLocation(text ?? '');
  if (location === '')
    throw new Failure('locationRequired', 'The location property is required for this definition.');
  if (!isLocation(location))
    throw new Failure('invalidRequestContent', 'A location has letters, digits and hyphens only.');
  return location;
}
