import { History, Info, Mic, Sparkles } from "lucide-react";
import { type ReactNode, useEffect, useRef } from "react";
import { AboutView } from "@/about/AboutView";
import { useFeedbackDelivery } from "@/feedback/delivery";
import { SentView } from "@/feedback/SentView";
import { HistoryView } from "@/history/HistoryView";
import { Toaster } from "@/ui/toast";
import { VoiceView } from "@/voice/VoiceView";
import { CreateView } from "./CreateView";
import { KeyGate } from "./KeyGate";
import { hrefOf, type Route, useRoute } from "./routes";

const TABS: readonly { route: Route; label: string; icon: ReactNode }[] = [
  { route: "create", label: "Create", icon: <Sparkles aria-hidden /> },
  { route: "voice", label: "Voice", icon: <Mic aria-hidden /> },
  { route: "history", label: "History", icon: <History aria-hidden /> },
  { route: "about", label: "About", icon: <Info aria-hidden /> },
];

const VIEWS: Record<Exclude<Route, "create">, ReactNode> = {
  voice: <VoiceView />,
  history: <HistoryView />,
  sent: <SentView />,
  about: <AboutView />,
};

export function App() {
  const route = useRoute();
  useFeedbackDelivery();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  // After a change of view, screen readers and the keyboard start at its beginning.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the route is what changes the view.
  useEffect(() => {
    if (!first.current) main.current?.focus();
    first.current = false;
    window.scrollTo(0, 0);
  }, [route]);
  return (
    <div className="min-h-dvh pb-24 md:pb-8">
      <button
        type="button"
        className="sr-only focus:not-sr-only focus:absolute focus:z-30 focus:m-2 focus:rounded-full focus:bg-raised focus:px-4 focus:py-2"
        onClick={() => main.current?.focus()}
      >
        Skip to content
      </button>
      <header className="mx-auto flex max-w-5xl items-center justify-between px-4 py-3">
        <a href={hrefOf("create")} className="flex min-h-11 items-center gap-2 text-lg font-extrabold">
          <img src="./static/icon.svg" alt="" className="size-8" />
          Snap2Caption
        </a>
        <Tabs route={route} />
      </header>
      <main ref={main} tabIndex={-1} className="mx-auto max-w-5xl px-4 outline-none">
        <KeyGate>
          {/* The photo and the caption stay when another view is looked at. */}
          <div hidden={route !== "create"}>
            <CreateView />
          </div>
          {route !== "create" && VIEWS[route]}
        </KeyGate>
      </main>
      <Toaster />
    </div>
  );
}

function Tabs({ route }: { route: Route }) {
  return (
    <nav
      aria-label="Views"
      className="inset-x-0 bottom-0 z-10 border-line bg-surface max-md:border-t max-md:pb-[env(safe-area-inset-bottom)] max-md:tall:fixed"
    >
      <ul className="flex justify-around md:gap-2">
        {TABS.map((tab) => (
          <li key={tab.route}>
            <a
              href={hrefOf(tab.route)}
              aria-current={tab.route === route ? "page" : undefined}
              className="flex min-h-14 min-w-16 flex-col items-center justify-center gap-0.5 rounded-2xl px-3 text-sm font-medium text-muted hover:text-ink aria-[current=page]:text-accent-text md:min-h-11 md:flex-row md:gap-2"
            >
              {tab.icon}
              {tab.label}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}
