/**
 * A type of actors as a service of the mesh: who runs it offers that service, so what the mesh knows of
 * services (who offers them and is well, who may call them, what is counted of them) holds for actors.
 * Service names are labels of DNS: `ShoppingCart` is `actor-shopping-cart`.
 */
import { ServiceName } from "../model/Names.ts"

const prefix = "actor-"
const typePattern = /^[A-Za-z][A-Za-z0-9]*(-[A-Za-z0-9]+)*$/

/** For people. */
export const typeRule =
  "an actor's type is made of words of A–Z, a–z and 0–9, like Cart, ShoppingCart or shopping-cart, and has 57 characters at most, with a hyphen counted between words"

/** Undefined: a type that cannot be a service. */
export const actorService = (type: string): ServiceName | undefined => {
  const service = `${prefix}${labelOf(type)}`
  return typePattern.test(type) && service.length <= 63 ? ServiceName.make(service) : undefined
}

/** Throws for a type that cannot be a service. */
export const checkedType = (type: string): ServiceName => {
  const service = actorService(type)
  if (service === undefined) throw new Error(`${JSON.stringify(type)} cannot be used: ${typeRule}`)
  return service
}

/** Is it the service of some type? One that is called so and is none answers nothing of actors. */
export const isActorService = (service: string): boolean => service.startsWith(prefix)

const labelOf = (type: string): string =>
  type
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replaceAll(/([A-Z])([A-Z][a-z])/g, "$1-$2")
    .toLowerCase()
