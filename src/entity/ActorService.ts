/**
 * A type of actors as a service of the mesh: who runs it offers that service, so what the mesh knows of
 * services (who offers them and is well, who may call them, what is counted of them) holds for actors.
 * Service names are labels of DNS: `ShoppingCart` is `actor-shopping-cart`.
 */
import { ServiceName } from "../model/Names.ts"

const prefix = "actor-"
const typePattern = /^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$/

const rule =
  "an actor's type is made of words of A–Z, a–z and 0–9, like Cart, ShoppingCart or shopping-cart, and has 57 characters at most, with a hyphen counted between words"

/** Throws for a type that cannot be a service. */
export const checkedType = (type: string): ServiceName => {
  const service = `${prefix}${labelOf(type)}`
  if (!typePattern.test(type) || service.length > 63) {
    throw new Error(`${JSON.stringify(type)} cannot be used: ${rule}`)
  }
  return ServiceName.make(service)
}

const labelOf = (type: string): string =>
  type
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replaceAll(/([A-Z])([A-Z][a-z])/g, "$1-$2")
    .toLowerCase()
