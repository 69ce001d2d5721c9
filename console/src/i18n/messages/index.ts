// All texts. A key is area.name; a file per area.
import { common } from './common';
import { home } from './home';

export const messages = { ...common, ...home };
export type MessageKey = keyof typeof messages;
