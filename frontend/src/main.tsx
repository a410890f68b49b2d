import "./index.css";
import { QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { takeKeysFromAddress } from "./api/key";
import { App } from "./app/App";
import { ErrorBoundary } from "./app/ErrorBoundary";
import { reloadOnceIfOutdated } from "./app/outdated";
import { createQueryClient } from "./app/queries";
import { applyTheme } from "./app/theme";

reloadOnceIfOutdated();
takeKeysFromAddress();
applyTheme();

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no element #root");
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={createQueryClient()}>
      <ErrorBoundary>
        <App />
      </ErrorBoundary>
    </QueryClientProvider>
  </StrictMode>,
);
