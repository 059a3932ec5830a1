/**
 * How far the two halves of an exchange are (Exchange.ts, rules 4 and 7): a number, held by whoever
 * carries the exchange. Without a tunnel it is over with the response; a tunnel's halves end on
 * their own, in either order, and it is over with both.
 */
declare const brand: unique symbol
export type Halves = number & { readonly [brand]: "Halves" }

const requestEnd = 1
const responseEnd = 2
const tunnel = 4

// Each of these is made of the bits above and nothing else.
const halves = (bits: number): Halves => bits as Halves

/** Neither has ended. */
export const openHalves = (isTunnel: boolean): Halves => halves(isTunnel ? tunnel : 0)

/** The answer to an HTTP request was a 101, or a CONNECT's: from now on its halves are a tunnel's. */
export const asTunnel = (it: Halves): Halves => halves(it | tunnel)

export const endRequest = (it: Halves): Halves => halves(it | requestEnd)

export const endResponse = (it: Halves): Halves => halves(it | responseEnd)

export const isTunnel = (it: Halves): boolean => (it & tunnel) !== 0

export const isRequestEnded = (it: Halves): boolean => (it & requestEnd) !== 0

export const isResponseEnded = (it: Halves): boolean => (it & responseEnd) !== 0

/** Nothing more is said in either direction; what of the request is still to come is nobody's. */
export const isOver = (it: Halves): boolean =>
  isResponseEnded(it) && (isRequestEnded(it) || !isTunnel(it))
