import type { Route, Stack } from '../../../stack/index.js'
import type { RouteView } from './routes-show.js'

/** The stack's routing table as netstat(1) and `route show` take it. */
export const routeViews = (stack: Stack): RouteView[] => stack.routes.entries().map(routeView)

export function routeView(route: Route): RouteView {
  return {
    destination: route.destination,
    gateway: /^fe[89ab][0-9a-f]:/.test(route.gatewayText)
      ? `${route.gatewayText}%${route.interface.name}`
      : route.gatewayText,
    flags: route.flags,
    references: route.references,
    use: route.use,
    // A local or loopback route shows the interface's own MTU, as the kernel fills it in for lo(4) alone.
    mtu: route.mtu ?? (route.interface.kind === 'loopback' ? route.interface.mtu : 0),
    priority: route.priority,
    interface: route.interface.name,
  }
}
