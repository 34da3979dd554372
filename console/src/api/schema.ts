// Made by `make console-types` from the gateway's OpenAPI document; not to be edited.

export interface paths {
    "/v1/images/generations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make pictures from a prompt */
        post: operations["post_v1_images_generations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/quote": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** What a call would cost, hold and be answered */
        post: operations["post_v1_images_quote"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/edits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make pictures from pictures */
        post: operations["post_v1_images_edits"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/images/variations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Vary a picture, where an offer can */
        post: operations["post_v1_images_variations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openai/deployments/{deployment}/images/generations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make pictures from a prompt, as Azure OpenAI's clients ask for it */
        post: operations["post_openai_deployments_deployment_images_generations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openai/deployments/{deployment}/images/edits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make pictures from pictures, as Azure OpenAI's clients ask for it */
        post: operations["post_openai_deployments_deployment_images_edits"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openai/v1/images/generations": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make pictures from a prompt, as Azure OpenAI's clients ask for it */
        post: operations["post_openai_v1_images_generations"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openai/v1/images/edits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make pictures from pictures, as Azure OpenAI's clients ask for it */
        post: operations["post_openai_v1_images_edits"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/files": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List this key's files, newest first */
        get: operations["get_v1_files"];
        put?: never;
        /** Keep a picture for calls */
        post: operations["post_v1_files"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/files/{file_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Look a file up */
        get: operations["get_v1_files_file_id"];
        put?: never;
        post?: never;
        /** Delete a file */
        delete: operations["delete_v1_files_file_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/files/{file_id}/content": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A file's picture */
        get: operations["get_v1_files_file_id_content"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/files/upload/base64": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** EvoLink: keep a picture from base64 */
        post: operations["post_api_v1_files_upload_base64"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/files/upload/stream": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** EvoLink: keep a picture from a form */
        post: operations["post_api_v1_files_upload_stream"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/files/upload/url": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** EvoLink: keep a picture from a URL */
        post: operations["post_api_v1_files_upload_url"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List this key's tasks, newest first */
        get: operations["get_v1_tasks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks/batch": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Query up to 50 tasks */
        post: operations["post_v1_tasks_batch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks/{task_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Query a task, or wait for its end */
        get: operations["get_v1_tasks_task_id"];
        put?: never;
        post?: never;
        /** Erase an ended task's prompt and pictures; what it cost stays */
        delete: operations["delete_v1_tasks_task_id"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/tasks/{task_id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Cancel a task */
        post: operations["post_v1_tasks_task_id_cancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the models that this key may use */
        get: operations["get_v1_models"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/models/{model}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Look a model up */
        get: operations["get_v1_models_model"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/credits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What is left and used */
        get: operations["get_v1_credits"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/models": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the playground shows of each model that this key may use */
        get: operations["get_console_api_models"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** How many tokens a prompt has */
        post: operations["post_console_api_tokens"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/account": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This key's own account: budgets, what is used and held */
        get: operations["get_console_api_account"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/results/{token}/{file}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** A picture behind a signed link */
        get: operations["get_v1_results_token_file"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        /** The same without the picture */
        head: operations["head_v1_results_token_file"];
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process is alive */
        get: operations["get_healthz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process may receive traffic */
        get: operations["get_readyz"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Prometheus metrics, for this machine unless made public */
        get: operations["get_metrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/openapi.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document */
        get: operations["get_openapi_json"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/docs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** This document as a page */
        get: operations["get_docs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/api/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who is signed in at the console */
        get: operations["get_console_api_session"];
        put?: never;
        /** Sign in with an admin token or an API key; sets the session's cookie */
        post: operations["post_console_api_session"];
        /** Sign out */
        delete: operations["delete_console_api_session"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** To the console */
        get: operations["get_console"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/console/{path}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** The console's page and files */
        get: operations["get_console_path"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** To the console, for browsers */
        get: operations["get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/tokens": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List admin tokens, without their secrets
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_tokens"];
        put?: never;
        /**
         * Make an admin token; it may do at most what its maker may
         * @description Needs an admin token with the scope `keys`.
         */
        post: operations["post_admin_v1_tokens"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/tokens/{token_id}/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Refuse an admin token from now on
         * @description Needs an admin token with the scope `keys`.
         */
        post: operations["post_admin_v1_tokens_token_id_revoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/accounts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List accounts with what is used, held and left, by id
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_accounts"];
        put?: never;
        /**
         * Make an org or a team
         * @description Needs an admin token with the scope `money`.
         */
        post: operations["post_admin_v1_accounts"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/accounts/{account}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One account: terms, budgets, prepaid credits
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_accounts_account"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change its terms; what is not named stays
         * @description Needs an admin token with the scope `money`.
         */
        patch: operations["patch_admin_v1_accounts_account"];
        trace?: never;
    };
    "/admin/v1/accounts/{account}/grants": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Grant prepaid credits, or take some back; once for an Idempotency-Key
         * @description Needs an admin token with the scope `money`.
         */
        post: operations["post_admin_v1_accounts_account_grants"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/accounts/{account}/entries": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Its ledger entries, newest first
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_accounts_account_entries"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List API keys, oldest first, without their secrets
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_keys"];
        put?: never;
        /**
         * Make an API key
         * @description Needs an admin token with the scope `keys`.
         */
        post: operations["post_admin_v1_keys"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/keys/{key_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Look an API key up
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_keys_key_id"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        /**
         * Change what an API key may do
         * @description Needs an admin token with the scope `keys`.
         */
        patch: operations["patch_admin_v1_keys_key_id"];
        trace?: never;
    };
    "/admin/v1/keys/{key_id}/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Give an API key a new secret; the old one stays valid for a while
         * @description Needs an admin token with the scope `keys`.
         */
        post: operations["post_admin_v1_keys_key_id_rotate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/keys/{key_id}/revoke": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Refuse an API key from now on
         * @description Needs an admin token with the scope `keys`.
         */
        post: operations["post_admin_v1_keys_key_id_revoke"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/keys/{key_id}/callback-secret": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What signs the callbacks of an API key
         * @description Needs an admin token with the scope `keys`.
         */
        get: operations["get_admin_v1_keys_key_id_callback_secret"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/keys/{key_id}/callback-secret/rotate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Sign its callbacks with a new secret, and for a while with the old one, too
         * @description Needs an admin token with the scope `keys`.
         */
        post: operations["post_admin_v1_keys_key_id_callback_secret_rotate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/overview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How the last hours went: tasks, how long they took, what upstreams answered
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_overview"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/usage": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What was made, charged and paid, in daily sums
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_usage"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/audit-log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Every change by an administrator, newest first
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_audit_log"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/alerts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Alerts about budgets and their delivery, newest first
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_alerts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/alerts/{alert_id}/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Have an alert sent again
         * @description Needs an admin token with the scope `money`.
         */
        post: operations["post_admin_v1_alerts_alert_id_resend"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/callbacks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Callbacks and their delivery, newest first
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_callbacks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/callbacks/{callback_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A callback with its latest tries
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_callbacks_callback_id"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/callbacks/{callback_id}/resend": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Have a callback sent again, under the same id
         * @description Needs an admin token with the scope `keys`.
         */
        post: operations["post_admin_v1_callbacks_callback_id_resend"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/tasks": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List tasks of all callers, newest first
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_tasks"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/tasks/{task_id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A task with its plan, its attempts and how it was booked
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_tasks_task_id"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/tasks/{task_id}/erase": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Erase an ended task's prompt and pictures; what it cost stays
         * @description Needs an admin token with the scope `money`.
         */
        post: operations["post_admin_v1_tasks_task_id_erase"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/in-doubt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Attempts of which nobody knows whether they were billed, oldest first
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_in_doubt"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/in-doubt/{attempt_id}/resolve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Book what was found out about an attempt in doubt
         * @description Needs an admin token with the scope `money`.
         */
        post: operations["post_admin_v1_in_doubt_attempt_id_resolve"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/upstreams": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * How upstreams work, what they cost, and what their own budgets have left
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_upstreams"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/upstreams/{name}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Try an upstream's address and key by a call that costs nothing
         * @description Needs an admin token with the scope `money`.
         */
        post: operations["post_admin_v1_upstreams_name_test"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/admin/v1/holds": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Pending holds that nothing will end; there should be none
         * @description Needs an admin token with the scope `read`.
         */
        get: operations["get_admin_v1_holds"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description `used` and `held` are of the account's whole life. `prepaid` is null where the account may spend more than was granted. */
        AccountAnswer: {
            id: string;
            /** @enum {string} */
            kind: "org" | "team" | "key" | "upstream" | "ours";
            name: string;
            parent: string | null;
            declared: boolean;
            disabled: boolean;
            timezone: string;
            markup: string | null;
            limits: components["schemas"]["LimitsAnswer"];
            used: components["schemas"]["gateway__api__schemas__admin_accounts__AmountAnswer"];
            held: components["schemas"]["gateway__api__schemas__admin_accounts__AmountAnswer"];
            budgets: components["schemas"]["BudgetAnswer"][];
            prepaid: components["schemas"]["PrepaidAnswer"] | null;
        };
        /** @description An org, or a team of it; the org is made where it does not exist. */
        AccountBody: {
            /** @default null */
            budgets?: string[] | null;
            /** @default null */
            timezone?: string | null;
            /** @default null */
            limits?: components["schemas"]["LimitsBody"] | null;
            /** @default null */
            markup?: number | string | null;
            org: string;
            /** @default null */
            team?: string | null;
        };
        AccountChangeBody: {
            /** @default null */
            budgets?: string[] | null;
            /** @default null */
            timezone?: string | null;
            /** @default null */
            limits?: components["schemas"]["LimitsBody"] | null;
            /** @default null */
            markup?: number | string | null;
            /** @default null */
            disabled?: boolean | null;
            /** @default null */
            prepaid?: false | null;
        };
        AccountListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["AccountAnswer"][];
            has_more: boolean;
        };
        /** @description `presumed_usd` is what the catalogue said it would cost. */
        AdminAttemptAnswer: {
            id: string;
            parent_id: string | null;
            offer: string;
            upstream: string;
            upstream_ref: string | null;
            n: number;
            images: number;
            state: string;
            fault: string | null;
            billed: string | null;
            cost_usd: number;
            presumed_usd: number;
            sent_at_ms: number;
            ended_at_ms: number | null;
            ms: number | null;
            message: string | null;
        };
        /** @description `offer` is its id: attempts name it. */
        AdminConsideredAnswer: {
            upstream: string;
            model: string;
            expected_usd: number | null;
            most_usd: number | null;
            skipped: components["schemas"]["SkippedAnswer"] | null;
            offer: string;
        };
        AdminHoldAnswer: {
            state: string;
            held: components["schemas"]["gateway__api__schemas__admin_tasks__AmountAnswer"];
            settled: components["schemas"]["gateway__api__schemas__admin_tasks__AmountAnswer"];
            created_at_ms: number;
            ended_at_ms: number | null;
        };
        /** @description `price` is what the catalogue said when the task was accepted. */
        AdminOfferAnswer: {
            id: string;
            upstream: string;
            model: string;
            price: {
                [key: string]: unknown;
            };
        };
        /**
         * @description Frozen when the task was accepted. `charge_credits`: fixed, a picture; null: the actual cost × `markup`.
         *
         *     `considered`: every offer of the model in the order in which they were to be tried; empty in tasks of earlier versions.
         */
        AdminPlanAnswer: {
            offers: components["schemas"]["AdminOfferAnswer"][];
            charge_credits: number | null;
            markup: number;
            credits_per_usd: number;
            considered: components["schemas"]["AdminConsideredAnswer"][];
        };
        /** @description What was asked for, besides the prompt. `images`: how many reference pictures. */
        AdminRequestAnswer: {
            operation: string | null;
            size: string | null;
            quality: string | null;
            background: string | null;
            output_format: string | null;
            prompt_tokens: number | null;
            partial_images: number | null;
            images: number;
            mask: boolean;
        };
        /** @description A picture, but not itself: that is its caller's. */
        AdminResultAnswer: {
            content_type: string;
            width: number;
            height: number;
            size_bytes: number;
            sha256: string;
        };
        /**
         * @description `prompt` is null unless it was asked for, and once it is not kept. `entries_whole`: false where not all were looked for.
         *
         *     `callback`: null where its caller named no URL, and before its end.
         */
        AdminTaskAnswer: {
            id: string;
            account: string;
            model: string;
            n: number;
            contract: string;
            state: string;
            created_at_ms: number;
            finished_at_ms: number | null;
            erased_at_ms: number | null;
            reserved_credits: number;
            charged: components["schemas"]["gateway__api__schemas__admin_tasks__AmountAnswer"];
            result_count: number;
            cache: ("hit" | "joined" | "miss" | "bypass") | null;
            source: string | null;
            error: components["schemas"]["AdminTaskError"] | null;
            deadline_at_ms: number;
            results_expire_at_ms: number | null;
            prompt: string | null;
            request: components["schemas"]["AdminRequestAnswer"];
            results: components["schemas"]["AdminResultAnswer"][];
            plan: components["schemas"]["AdminPlanAnswer"] | null;
            attempts: components["schemas"]["AdminAttemptAnswer"][];
            hold: components["schemas"]["AdminHoldAnswer"] | null;
            entries: components["schemas"]["AdminTaskEntryAnswer"][];
            entries_whole: boolean;
            callback: components["schemas"]["CallbackItem"] | null;
        };
        AdminTaskEntryAnswer: {
            id: number;
            account: string;
            attempt_id: string | null;
            kind: string;
            posted: components["schemas"]["gateway__api__schemas__admin_tasks__AmountAnswer"];
            pending: components["schemas"]["gateway__api__schemas__admin_tasks__AmountAnswer"];
            at_ms: number;
            note: string | null;
        };
        AdminTaskError: {
            code: string;
            message: string;
        };
        AdminTaskItem: {
            id: string;
            account: string;
            model: string;
            n: number;
            contract: string;
            state: string;
            created_at_ms: number;
            finished_at_ms: number | null;
            erased_at_ms: number | null;
            reserved_credits: number;
            charged: components["schemas"]["gateway__api__schemas__admin_tasks__AmountAnswer"];
            result_count: number;
            cache: ("hit" | "joined" | "miss" | "bypass") | null;
            source: string | null;
            error: components["schemas"]["AdminTaskError"] | null;
        };
        /** @description `next_before`: where the next page begins; a page may hold fewer than `limit` although there are older ones. */
        AdminTaskListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["AdminTaskItem"][];
            has_more: boolean;
            next_before: string | null;
        };
        AdminTokenAnswer: {
            id: string;
            name: string;
            display: string;
            scopes: components["schemas"]["Scope"][];
            org: string | null;
            created_at_ms: number;
            expires_at_ms: number | null;
            disabled_at_ms: number | null;
            used_at_ms: number | null;
        };
        AdminTokenBody: {
            name: string;
            scopes: components["schemas"]["Scope"][];
            /** @default null */
            org?: string | null;
            /** @default null */
            expires_at_ms?: number | null;
        };
        /** @description `secret` is shown this once. */
        AdminTokenIssued: {
            id: string;
            name: string;
            display: string;
            scopes: components["schemas"]["Scope"][];
            org: string | null;
            created_at_ms: number;
            expires_at_ms: number | null;
            disabled_at_ms: number | null;
            used_at_ms: number | null;
            secret: string;
        };
        AdminTokenListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["AdminTokenAnswer"][];
        };
        AlertAnswer: {
            id: string;
            account: string;
            budget: string;
            window_start_ms: number;
            threshold_percent: number;
            created_at_ms: number;
            /** @enum {string} */
            state: "due" | "sent" | "dead";
            tries: number;
            next_at_ms: number | null;
            answer: string | null;
            message: components["schemas"]["AlertMessage"];
        };
        AlertData: {
            account: string;
            org: string | null;
            team: string | null;
            budget: string;
            /** @enum {string} */
            window: "day" | "week" | "month" | "total" | "granted";
            window_start: string | null;
            resets_at: string | null;
            threshold_percent: number;
            used: number;
            held: number;
            limit: number;
            left: number;
            /** @enum {string} */
            unit: "usd" | "credits" | "images";
            refusing: boolean;
        };
        AlertListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["AlertAnswer"][];
            has_more: boolean;
        };
        AlertMessage: {
            /** @constant */
            type: "budget.threshold";
            timestamp: string;
            data: components["schemas"]["AlertData"];
        };
        /** @description One try at an upstream, with why it failed and what it cost us. */
        AttemptAnswer: {
            upstream: string;
            status: string;
            fault: string | null;
            cost_usd: number;
            ms: number | null;
        };
        AuditLineAnswer: {
            id: number;
            at_ms: number;
            actor: string;
            action: string;
            subject: string;
            org: string | null;
            details: {
                [key: string]: string | number | boolean | string[] | null;
            };
        };
        AuditLogAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["AuditLineAnswer"][];
            has_more: boolean;
        };
        /** @description The most that an account may be charged within a window. `limit` is in microusd, microcredits or images, as the unit says. */
        Budget: {
            limit: number;
            unit: components["schemas"]["Unit"];
            /** @default total */
            window?: components["schemas"]["Window"];
        };
        /** @description `limit`, `used`, `held` and `left` are in the unit. `resets_at_ms` is when the window ends; null: never. */
        BudgetAnswer: {
            budget: string;
            /** @enum {string} */
            unit: "usd" | "credits" | "images";
            /** @enum {string} */
            window: "day" | "week" | "month" | "total";
            limit: number;
            used: number;
            held: number;
            left: number;
            resets_at_ms: number | null;
        };
        /** @description The tightest budget in credits or USD on the key's path, before the call. */
        BudgetLeftAnswer: {
            /** @enum {string} */
            scope: "key" | "team" | "org";
            name: string;
            budget: string;
            credits: number;
            resets_at_ms: number | null;
        };
        CacheCountsAnswer: {
            hit: number;
            joined: number;
            miss: number;
            bypass: number;
        };
        /** @description `attempts`: the latest ones, oldest first. */
        CallbackAnswer: {
            id: string;
            task_id: string;
            account: string;
            url: string;
            state: components["schemas"]["CallbackState"];
            tries: number;
            next_at_ms: number | null;
            created_at_ms: number;
            answer: string | null;
            attempts: components["schemas"]["CallbackTryAnswer"][];
        };
        /** @description `url` is without its query; empty once the task is erased. */
        CallbackItem: {
            id: string;
            task_id: string;
            account: string;
            url: string;
            state: components["schemas"]["CallbackState"];
            tries: number;
            next_at_ms: number | null;
            created_at_ms: number;
            answer: string | null;
        };
        CallbackListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["CallbackItem"][];
            has_more: boolean;
        };
        /** @description `declared`: it stands in the config. Until `old_until_ms` messages are signed with the secret before, too. */
        CallbackSecretAnswer: {
            key_id: string;
            account: string;
            secret: string;
            declared: boolean;
            version: number;
            old_until_ms: number | null;
        };
        /**
         * @description SENT and DEAD are final unless somebody has it sent again.
         * @enum {string}
         */
        CallbackState: "due" | "sent" | "dead";
        /** @description `answer`: how the receiver's body begins; without a status, what went wrong. */
        CallbackTryAnswer: {
            at_ms: number;
            status: number | null;
            ms: number;
            answer: string | null;
        };
        /** @description `per_image`: a fixed charge; `cost`: what the upstream takes × markup. */
        ChargeAnswer: {
            /** @enum {string} */
            rule: "per_image" | "cost";
            credits_per_image: number | null;
            markup: number | null;
        };
        /**
         * @description The two views of a task: an OpenAI image answer, or a task to poll.
         * @enum {string}
         */
        Contract: "image" | "task";
        Cost: {
            credits: number;
            usd: number;
        };
        CreatedUsage: {
            billing_rule: string;
            credits_reserved: number;
            user_group: string;
        };
        CreditsAnswer: {
            success: boolean;
            message: string;
            data: components["schemas"]["CreditsData"];
        };
        /** @description `token` is this key, `user` the account it belongs to; null: no budget sets a limit. */
        CreditsData: {
            token: components["schemas"]["TokenCredits"];
            user: components["schemas"]["UserCredits"];
        };
        DoubtAnswer: {
            attempt_id: string;
            task_id: string;
            account: string;
            org: string | null;
            offer: string;
            upstream: string;
            upstream_ref: string | null;
            images: number;
            sent_at_ms: number;
            ended_at_ms: number | null;
            presumed_cost: components["schemas"]["Usd"];
            message: string | null;
        };
        DoubtListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["DoubtAnswer"][];
            has_more: boolean;
        };
        /** @description An edit of one or more pictures, as JSON. */
        EditBody: {
            /**
             * @description A model of GET /v1/models; the configured default where absent.
             * @default null
             */
            model?: string | null;
            /**
             * @description How many pictures; the counts allowed depend on the model. 1 where absent.
             * @default null
             */
            n?: number | null;
            /**
             * @description `auto`, a ratio such as `2:3`, or `WIDTHxHEIGHT`; it depends on the model.
             * @default null
             */
            size?: string | null;
            /**
             * @description `standard` means medium and `hd` high.
             * @default null
             */
            quality?: ("auto" | "low" | "medium" | "high" | "xhigh" | "max" | "standard" | "hd") | null;
            /**
             * @description `transparent` needs png or webp.
             * @default null
             */
            background?: ("auto" | "opaque" | "transparent") | null;
            /** @default null */
            moderation?: ("low" | "auto") | null;
            /**
             * @description gif and svg are not served.
             * @default null
             */
            output_format?: ("png" | "webp" | "jpeg" | "gif" | "svg") | null;
            /**
             * @description Only with webp and jpeg.
             * @default null
             */
            output_compression?: number | null;
            /**
             * @description What an item carries; both where absent.
             * @default null
             */
            response_format?: ("url" | "b64_json") | null;
            /** @default null */
            user?: string | null;
            /** @default null */
            safety_identifier?: string | null;
            /** @default null */
            style?: string | null;
            /** @default null */
            complexity?: ("low" | "medium" | "high") | null;
            /**
             * @description How closely an edit keeps to its pictures; advisory.
             * @default null
             */
            input_fidelity?: ("low" | "high") | null;
            /**
             * @description Ours: for the same picture again, from upstreams that take one and make all pictures in one call.
             * @default null
             */
            seed?: number | null;
            /**
             * @description The answer is a stream of server-sent events: partial pictures, then the finished ones.
             * @default null
             */
            stream?: boolean | null;
            /**
             * @description With `stream`: how many partial pictures to send, where the upstream makes any.
             * @default null
             */
            partial_images?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_count?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_duration_ms?: number | null;
            /**
             * @description Only for svg, so it is dropped.
             * @default null
             */
            svg?: components["schemas"]["Svg"] | null;
            /**
             * @description A public https URL of at most 2048 characters that is told the task's end by a signed POST. The answer is a task then.
             * @default null
             */
            callback_url?: string | null;
            /** @description What the picture shall become. */
            prompt: string;
            images: components["schemas"]["ImageReference"][];
            /**
             * @description A PNG below 4 MB of the first picture's size: what is transparent in it is made anew.
             * @default null
             */
            mask?: components["schemas"]["ImageReference"] | null;
        } & {
            [key: string]: unknown;
        };
        /** @description An edit as a form. For the OpenAPI document alone: its parts are read one by one. */
        EditForm: {
            /**
             * @description A model of GET /v1/models; the configured default where absent.
             * @default null
             */
            model?: string | null;
            /**
             * @description How many pictures; the counts allowed depend on the model. 1 where absent.
             * @default null
             */
            n?: number | null;
            /**
             * @description `auto`, a ratio such as `2:3`, or `WIDTHxHEIGHT`; it depends on the model.
             * @default null
             */
            size?: string | null;
            /**
             * @description `standard` means medium and `hd` high.
             * @default null
             */
            quality?: ("auto" | "low" | "medium" | "high" | "xhigh" | "max" | "standard" | "hd") | null;
            /**
             * @description `transparent` needs png or webp.
             * @default null
             */
            background?: ("auto" | "opaque" | "transparent") | null;
            /** @default null */
            moderation?: ("low" | "auto") | null;
            /**
             * @description gif and svg are not served.
             * @default null
             */
            output_format?: ("png" | "webp" | "jpeg" | "gif" | "svg") | null;
            /**
             * @description Only with webp and jpeg.
             * @default null
             */
            output_compression?: number | null;
            /**
             * @description What an item carries; both where absent.
             * @default null
             */
            response_format?: ("url" | "b64_json") | null;
            /** @default null */
            user?: string | null;
            /** @default null */
            safety_identifier?: string | null;
            /** @default null */
            style?: string | null;
            /** @default null */
            complexity?: ("low" | "medium" | "high") | null;
            /**
             * @description How closely an edit keeps to its pictures; advisory.
             * @default null
             */
            input_fidelity?: ("low" | "high") | null;
            /**
             * @description Ours: for the same picture again, from upstreams that take one and make all pictures in one call.
             * @default null
             */
            seed?: number | null;
            /**
             * @description The answer is a stream of server-sent events: partial pictures, then the finished ones.
             * @default null
             */
            stream?: boolean | null;
            /**
             * @description With `stream`: how many partial pictures to send, where the upstream makes any.
             * @default null
             */
            partial_images?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_count?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_duration_ms?: number | null;
            /**
             * @description Only for svg, so it is dropped.
             * @default null
             */
            svg?: components["schemas"]["Svg"] | null;
            /**
             * @description A public https URL of at most 2048 characters that is told the task's end by a signed POST. The answer is a task then.
             * @default null
             */
            callback_url?: string | null;
            prompt: string;
            /** @description One part `image`, or up to 16 parts `image[]`: png, jpeg or webp below 50 MB each. */
            image: string[];
            /**
             * Format: binary
             * @description As in the JSON form.
             * @default null
             */
            mask?: string | null;
        } & {
            [key: string]: unknown;
        };
        EntryAnswer: {
            id: number;
            account: string;
            kind: string;
            at_ms: number;
            task_id: string | null;
            attempt_id: string | null;
            posted: components["schemas"]["gateway__api__schemas__admin_accounts__AmountAnswer"];
            pending: components["schemas"]["gateway__api__schemas__admin_accounts__AmountAnswer"];
            note: string | null;
        };
        /** @description `before` is for the next page. A page may be short, even empty, and there may still be more. */
        EntryListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["EntryAnswer"][];
            has_more: boolean;
            before: number | null;
        };
        ErrorAnswer: {
            error: components["schemas"]["ErrorDetail"];
        };
        /** @description `code` is stable, `message` is for people. Some codes carry more fields, e.g. insufficient_quota. */
        ErrorDetail: {
            code: string;
            message: string;
            type: string;
            param: string | null;
            request_id: string;
        } & {
            [key: string]: unknown;
        };
        /** @description Base64 with or without `data:image/png;base64,` before it. */
        EvolinkBase64Body: {
            /**
             * @description Told back; means nothing here.
             * @default null
             */
            upload_path?: string | null;
            /**
             * @description How the file is shown.
             * @default null
             */
            file_name?: string | null;
            base64_data: string;
        } & {
            [key: string]: unknown;
        };
        EvolinkFile: {
            file_id: string;
            file_name: string;
            original_name: string;
            file_size: number;
            mime_type: string;
            upload_path: string;
            file_url: string;
            download_url: string;
            upload_time: string;
            expires_at: string;
        };
        EvolinkFileAnswer: {
            /** @constant */
            success: true;
            /** @constant */
            code: 200;
            msg: string;
            data: components["schemas"]["EvolinkFile"];
        };
        /** @description A file as a part of a form. */
        EvolinkFileForm: {
            /**
             * @description Told back; means nothing here.
             * @default null
             */
            upload_path?: string | null;
            /**
             * @description How the file is shown.
             * @default null
             */
            file_name?: string | null;
            /** Format: binary */
            file: string;
        } & {
            [key: string]: unknown;
        };
        /** @description A public https URL, fetched at once. */
        EvolinkUrlBody: {
            /**
             * @description Told back; means nothing here.
             * @default null
             */
            upload_path?: string | null;
            /**
             * @description How the file is shown.
             * @default null
             */
            file_name?: string | null;
            file_url: string;
        } & {
            [key: string]: unknown;
        };
        FaultCountAnswer: {
            fault: string;
            attempts: number;
        };
        /** @description OpenAI's file object. */
        FileAnswer: {
            id: string;
            /** @constant */
            object: "file";
            bytes: number;
            created_at: number;
            expires_at: number;
            filename: string;
            /** @constant */
            purpose: "vision";
            /** @constant */
            status: "processed";
        };
        FileDeletedAnswer: {
            id: string;
            /** @constant */
            object: "file";
            /** @constant */
            deleted: true;
        };
        /** @description An upload. */
        FileForm: {
            /**
             * Format: binary
             * @description A png, jpeg or webp of at most 50 MB.
             */
            file: string;
            /** @constant */
            purpose: "vision";
        };
        /** @description Newest first. */
        FileListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["FileAnswer"][];
            first_id: string | null;
            last_id: string | null;
            has_more: boolean;
        };
        /** @description A text-to-image call, or an edit of pictures behind links. */
        GenerationBody: {
            /**
             * @description A model of GET /v1/models; the configured default where absent.
             * @default null
             */
            model?: string | null;
            /**
             * @description How many pictures; the counts allowed depend on the model. 1 where absent.
             * @default null
             */
            n?: number | null;
            /**
             * @description `auto`, a ratio such as `2:3`, or `WIDTHxHEIGHT`; it depends on the model.
             * @default null
             */
            size?: string | null;
            /**
             * @description `standard` means medium and `hd` high.
             * @default null
             */
            quality?: ("auto" | "low" | "medium" | "high" | "xhigh" | "max" | "standard" | "hd") | null;
            /**
             * @description `transparent` needs png or webp.
             * @default null
             */
            background?: ("auto" | "opaque" | "transparent") | null;
            /** @default null */
            moderation?: ("low" | "auto") | null;
            /**
             * @description gif and svg are not served.
             * @default null
             */
            output_format?: ("png" | "webp" | "jpeg" | "gif" | "svg") | null;
            /**
             * @description Only with webp and jpeg.
             * @default null
             */
            output_compression?: number | null;
            /**
             * @description What an item carries; both where absent.
             * @default null
             */
            response_format?: ("url" | "b64_json") | null;
            /** @default null */
            user?: string | null;
            /** @default null */
            safety_identifier?: string | null;
            /** @default null */
            style?: string | null;
            /** @default null */
            complexity?: ("low" | "medium" | "high") | null;
            /**
             * @description How closely an edit keeps to its pictures; advisory.
             * @default null
             */
            input_fidelity?: ("low" | "high") | null;
            /**
             * @description Ours: for the same picture again, from upstreams that take one and make all pictures in one call.
             * @default null
             */
            seed?: number | null;
            /**
             * @description The answer is a stream of server-sent events: partial pictures, then the finished ones.
             * @default null
             */
            stream?: boolean | null;
            /**
             * @description With `stream`: how many partial pictures to send, where the upstream makes any.
             * @default null
             */
            partial_images?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_count?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_duration_ms?: number | null;
            /**
             * @description Only for svg, so it is dropped.
             * @default null
             */
            svg?: components["schemas"]["Svg"] | null;
            /**
             * @description A public https URL of at most 2048 characters that is told the task's end by a signed POST. The answer is a task then.
             * @default null
             */
            callback_url?: string | null;
            /**
             * @description What to draw. The longest prompt depends on the model.
             * @example A red fox in fresh snow
             */
            prompt: string;
            /**
             * @description Reference pictures (png, jpeg, webp) of at most 10 MB each: public https URLs, `data:` URLs, files of POST /v1/files by id or URL, links of this gateway. How many depends on the model.
             * @default null
             */
            image_urls?: string[] | null;
            /**
             * @description A PNG below 4 MB of the picture's size: what is transparent in it is made anew. With one picture alone.
             * @default null
             */
            mask_url?: string | null;
        } & {
            [key: string]: unknown;
        };
        /** @description `repeated`: this grant was made before under the same Idempotency-Key; nothing changed now. */
        GrantAnswer: {
            account: string;
            credits: number;
            left_credits: number;
            repeated: boolean;
        };
        GrantBody: {
            credits: number | string;
            /** @default  */
            why?: string;
        };
        HealthAnswer: {
            /** @constant */
            status: "ok";
        };
        HeldAnswer: {
            credits: number;
            usd: number;
            images: number;
        };
        HoldAnswer: {
            credits: number;
            usd: number;
            images: number;
        };
        ImageItem: {
            /** @default null */
            b64_json?: string | null;
            /** @default null */
            url?: string | null;
            /** @default null */
            revised_prompt?: string | null;
        };
        /** @description Exactly one of both. */
        ImageReference: {
            /**
             * @description A public https URL, a `data:` URL, a file's URL, or a link of this gateway.
             * @default null
             */
            image_url?: string | null;
            /**
             * @description Of POST /v1/files.
             * @default null
             */
            file_id?: string | null;
        };
        /** @description OpenAI's images answer. */
        ImagesAnswer: {
            created: number;
            data: components["schemas"]["ImageItem"][];
            /** @default null */
            size?: string | null;
            /** @default null */
            quality?: ("low" | "medium" | "high") | null;
            /** @default null */
            background?: ("opaque" | "transparent") | null;
            /** @default null */
            output_format?: ("png" | "webp" | "jpeg") | null;
            /** @default null */
            usage?: components["schemas"]["ImagesUsage"] | null;
        };
        ImagesUsage: {
            input_tokens: number;
            output_tokens: number;
            total_tokens: number;
            input_tokens_details: components["schemas"]["InputTokensDetails"];
        };
        InputTokensDetails: {
            image_tokens: number;
            text_tokens: number;
        };
        KeyAnswer: {
            id: string;
            name: string;
            org: string;
            team: string | null;
            account: string;
            display: string;
            state: components["schemas"]["KeyState"];
            declared: boolean;
            budgets: string[];
            models: string[];
            sizes: string[];
            n_max: number | null;
            rpm: number | null;
            concurrency: number | null;
            response: components["schemas"]["Contract"] | null;
            created_at_ms: number;
            expires_at_ms: number | null;
            choose_upstream: boolean;
            cache: boolean;
            revoked_at_ms: number | null;
            old_until_ms: number | null;
            used_at_ms: number | null;
        };
        /** @description Org and team are made where they do not exist. */
        KeyBody: {
            /** @default null */
            budgets?: string[] | null;
            /** @default null */
            models?: string[] | null;
            /** @default null */
            sizes?: string[] | null;
            /** @default null */
            n_max?: number | null;
            /** @default null */
            rpm?: number | null;
            /** @default null */
            concurrency?: number | null;
            /** @default null */
            response?: components["schemas"]["Contract"] | null;
            /** @default null */
            expires_at_ms?: number | null;
            /** @default null */
            choose_upstream?: boolean | null;
            /** @default null */
            cache?: boolean | null;
            org: string;
            /** @default null */
            team?: string | null;
            name: string;
        };
        /** @description Only what is to be changed. */
        KeyChangeBody: {
            /** @default null */
            budgets?: string[] | null;
            /** @default null */
            models?: string[] | null;
            /** @default null */
            sizes?: string[] | null;
            /** @default null */
            n_max?: number | null;
            /** @default null */
            rpm?: number | null;
            /** @default null */
            concurrency?: number | null;
            /** @default null */
            response?: components["schemas"]["Contract"] | null;
            /** @default null */
            expires_at_ms?: number | null;
            /** @default null */
            choose_upstream?: boolean | null;
            /** @default null */
            cache?: boolean | null;
        };
        /** @description `secret` is shown this once. */
        KeyIssued: {
            id: string;
            name: string;
            org: string;
            team: string | null;
            account: string;
            display: string;
            state: components["schemas"]["KeyState"];
            declared: boolean;
            budgets: string[];
            models: string[];
            sizes: string[];
            n_max: number | null;
            rpm: number | null;
            concurrency: number | null;
            response: components["schemas"]["Contract"] | null;
            created_at_ms: number;
            expires_at_ms: number | null;
            choose_upstream: boolean;
            cache: boolean;
            revoked_at_ms: number | null;
            old_until_ms: number | null;
            used_at_ms: number | null;
            secret: string;
        };
        KeyListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["KeyAnswer"][];
            has_more: boolean;
        };
        KeyRotateBody: {
            /** @default 86400 */
            overlap_s?: number;
        };
        /**
         * @description Whether a key is let in, and if not, why not.
         * @enum {string}
         */
        KeyState: "active" | "expired" | "revoked" | "disabled";
        /** @description Of what brought pictures, by nearest rank; null: nothing did. */
        LatencyAnswer: {
            p50_ms: number | null;
            p95_ms: number | null;
        };
        LimitsAnswer: {
            rpm: number | null;
            concurrency: number | null;
            models: string[];
            sizes: string[];
            n_max: number | null;
        };
        /** @description What is not named stays; null takes a limit away. */
        LimitsBody: {
            /** @default null */
            rpm?: number | null;
            /** @default null */
            concurrency?: number | null;
            /** @default null */
            models?: string[] | null;
            /** @default null */
            sizes?: string[] | null;
            /** @default null */
            n_max?: number | null;
        };
        ModelAnswer: {
            id: string;
            /** @constant */
            object: "model";
            created: number;
            owned_by: string;
        };
        /** @description `credits_per_image` is null where the charge follows the upstream's cost; `sizes` are those that this key may ask for. */
        ModelCardAnswer: {
            id: string;
            /** @enum {string} */
            response: "task" | "image";
            prompt_tokens_max: number;
            sizes: string[];
            pixel_range: components["schemas"]["PixelRangeAnswer"] | null;
            n: number[];
            qualities: string[];
            output_formats: string[];
            references_max: number;
            reference_bytes_max: number;
            mask_bytes_max: number;
            edits: boolean;
            masks: boolean;
            variations: boolean;
            streams: boolean;
            estimated_time_s: number;
            credits_per_image: number | null;
        };
        ModelCardListAnswer: {
            /** @constant */
            object: "list";
            default_model: string;
            credits_per_usd: number;
            data: components["schemas"]["ModelCardAnswer"][];
        };
        ModelCountAnswer: {
            model: string;
            tasks: number;
            failed: number;
        };
        ModelListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["ModelAnswer"][];
        };
        /** @description `left_alone_because` is null while the offer is tried; `needs_operator`: it will not mend by itself. */
        OfferStateAnswer: {
            offer: string;
            left_alone_because: string | null;
            reopens_in_s: number | null;
            needs_operator: boolean;
        };
        /** @description Of the tasks made in the last `hours`; `whole` is false where those were too many and only the newest were looked at. */
        OverviewAnswer: {
            /** @constant */
            object: "overview";
            hours: number;
            tasks: number;
            whole: boolean;
            by_state: components["schemas"]["TaskCountsAnswer"];
            by_cache: components["schemas"]["CacheCountsAnswer"];
            by_model: components["schemas"]["ModelCountAnswer"][];
            latency: components["schemas"]["LatencyAnswer"];
            upstreams: components["schemas"]["UpstreamRecordAnswer"][];
        };
        /** @description Any WIDTHxHEIGHT with both sides multiples of `multiple_of`, within these bounds. */
        PixelRangeAnswer: {
            multiple_of: number;
            ratio_max: number;
            edge_max: number;
            area_min: number;
            area_max: number;
        };
        PrepaidAnswer: {
            granted_credits: number;
            left_credits: number;
        };
        /** @description What the catalogue says that an offer costs for a model; `as_of`: the day on which it was read at `source`. */
        PriceAnswer: {
            model: string;
            offer: string;
            price: {
                [key: string]: unknown;
            };
            source: string | null;
            as_of: string | null;
        };
        /** @description Offers in the order in which they would be tried; those that cannot make the request at the end. */
        QuoteAnswer: {
            /** @constant */
            object: "image.quote";
            model: string;
            n: number;
            size: string;
            quality: string;
            offers: components["schemas"]["QuotedOfferAnswer"][];
            charge: components["schemas"]["ChargeAnswer"] | null;
            hold: components["schemas"]["HoldAnswer"] | null;
            budget_left: components["schemas"]["BudgetLeftAnswer"] | null;
            dropped_params: string[];
            admitted: boolean;
            error: components["schemas"]["QuoteError"] | null;
        };
        /** @description What the call would be refused with. */
        QuoteError: {
            code: string;
            message: string;
            param: string | null;
        };
        /** @description One upstream's price for all pictures. `most_usd` is its worst case; `skipped`: why it would not be tried. */
        QuotedOfferAnswer: {
            upstream: string;
            model: string;
            expected_usd: number | null;
            most_usd: number | null;
            skipped: components["schemas"]["SkippedAnswer"] | null;
        };
        ReadinessAnswer: {
            /** @enum {string} */
            status: "ready" | "not_ready";
            reasons: string[];
        };
        /** @description `cost_usd`: the bill, where it is not the presumed cost; only with `paid`. */
        ResolveBody: {
            /** @enum {string} */
            outcome: "paid" | "unpaid";
            /** @default  */
            why?: string;
            /** @default null */
            cost_usd?: number | string | null;
        };
        ResolvedAnswer: {
            attempt_id: string;
            upstream: string;
            /** @enum {string} */
            outcome: "paid" | "unpaid";
            cost: components["schemas"]["Usd"];
        };
        ResultData: {
            image_url: string;
            expires_at: number | null;
        };
        /**
         * @description One try of an offer for `n` of the pictures. `billed` says whether a failure cost us something.
         *
         *     `last_resort`: its circuit was open, and no other offer was left.
         */
        RoutedAttemptAnswer: {
            upstream: string;
            model: string;
            n: number;
            images: number;
            status: string;
            fault: string | null;
            billed: ("no" | "yes" | "unknown") | null;
            cost_usd: number;
            sent_at_ms: number;
            ended_at_ms: number | null;
            last_resort: boolean;
        };
        /** @description Why this upstream: every offer of the model in the order in which they were to be tried, and what was tried. */
        RoutingAnswer: {
            offers: components["schemas"]["QuotedOfferAnswer"][];
            attempts: components["schemas"]["RoutedAttemptAnswer"][];
        };
        /**
         * @description What an admin token may do. Each is granted by itself; everything that changes something needs KEYS or MONEY.
         * @enum {string}
         */
        Scope: "read" | "keys" | "money";
        SessionAdministrator: {
            name: string;
            scopes: components["schemas"]["Scope"][];
            org: string | null;
        };
        SessionAnswer: {
            signed_in: boolean;
            csrf: string | null;
            expires_at_ms: number | null;
            administrator: components["schemas"]["SessionAdministrator"] | null;
            key: components["schemas"]["SessionKey"] | null;
            version: string;
            public_url: string;
        };
        SessionBody: {
            secret: string;
        };
        SessionKey: {
            id: string;
            name: string;
            org: string;
            team: string | null;
            display: string;
        };
        SkippedAnswer: {
            /** @enum {string} */
            reason: "not_able" | "circuit_open" | "last_resort" | "budget_closed" | "over_max_credits" | "over_budget" | "not_chosen";
            message: string;
        };
        StrandedHoldAnswer: {
            task_id: string;
            task_state: string | null;
            account: string;
            created_at_ms: number;
            held: components["schemas"]["HeldAnswer"];
        };
        StrandedHoldListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["StrandedHoldAnswer"][];
            has_more: boolean;
        };
        Svg: {
            /** @default null */
            model?: string | null;
            /** @default null */
            reasoning?: components["schemas"]["SvgReasoning"] | null;
        };
        SvgReasoning: {
            /** @default null */
            effort?: string | null;
        };
        /** @description A task as it stands. `results` are links that live 24 hours. */
        TaskAnswer: {
            created: number;
            id: string;
            model: string;
            /** @constant */
            object: "image.generation.task";
            progress: number;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
            task_info: components["schemas"]["TaskInfoNow"];
            /** @constant */
            type: "image";
            usage: components["schemas"]["TaskUsage"];
            /** @default null */
            results?: string[] | null;
            /** @default null */
            result_data?: components["schemas"]["ResultData"][] | null;
            /** @default null */
            error?: components["schemas"]["TaskFailure"] | null;
            /** @default null */
            erased_at?: number | null;
            attempts: components["schemas"]["AttemptAnswer"][];
            routing: components["schemas"]["RoutingAnswer"];
        };
        TaskBatchAnswer: {
            /** @constant */
            code: 200;
            data: components["schemas"]["TaskAnswer"][];
        };
        TaskBatchBody: {
            task_ids: string[];
        };
        TaskCountsAnswer: {
            pending: number;
            processing: number;
            completed: number;
            failed: number;
            cancelled: number;
        };
        /** @description A task as it was accepted. */
        TaskCreated: {
            created: number;
            id: string;
            model: string;
            /** @constant */
            object: "image.generation.task";
            progress: number;
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
            task_info: components["schemas"]["TaskInfo"];
            /** @constant */
            type: "image";
            usage: components["schemas"]["CreatedUsage"];
        };
        TaskFailure: {
            code: string;
            message: string;
        };
        TaskInfo: {
            can_cancel: boolean;
            estimated_time: number;
        };
        /** @description `cancel_requested`: its caller wants it cancelled, and an upstream is still at it. */
        TaskInfoNow: {
            can_cancel: boolean;
            estimated_time: number;
            /** @default null */
            cancel_requested?: true | null;
        };
        TaskItem: {
            id: string;
            model: string;
            /** @constant */
            type: "image";
            /** @enum {string} */
            status: "pending" | "processing" | "completed" | "failed" | "cancelled";
            progress: number;
            created_at: number;
            has_results: boolean;
            result_count: number;
            has_error: boolean;
            credits_used: number;
            duration: number | null;
            /** @default null */
            erased_at?: number | null;
        };
        TaskListAnswer: {
            /** @constant */
            object: "list";
            total: number;
            page: number;
            page_size: number;
            data: components["schemas"]["TaskItem"][];
        };
        TaskUsage: {
            billing_rule: string;
            credits_reserved: number;
            user_group: string;
            /** @default null */
            credits_used?: number | null;
            /** @default null */
            cost?: components["schemas"]["Cost"] | null;
        };
        TokenCredits: {
            remaining_credits: number | null;
            unlimited_credits: boolean;
            used_credits: number;
        };
        /** @description `tokens` is null for a text that no model takes, which is not counted. */
        TokensAnswer: {
            /** @constant */
            object: "prompt.tokens";
            model: string;
            tokens: number | null;
            tokens_max: number;
            fits: boolean;
        };
        TokensBody: {
            model: string;
            prompt: string;
        };
        /**
         * @description What a budget counts: charged USD, charged credits, or delivered images.
         * @enum {string}
         */
        Unit: "usd" | "credits" | "images";
        UpstreamAnswer: {
            name: string;
            kind: string;
            on: boolean;
            off_because: string | null;
            calls_in_flight: number;
            in_flight: components["schemas"]["Usd"];
            in_doubt: components["schemas"]["Usd"];
            paid_this_month: components["schemas"]["Usd"];
            in_doubt_this_month: components["schemas"]["Usd"];
            budgets: components["schemas"]["UpstreamBudgetAnswer"][];
            offers: components["schemas"]["OfferStateAnswer"][];
            prices: components["schemas"]["PriceAnswer"][];
        };
        /** @description `closed_until_ms` is null while the budget has anything left, and where its window never ends. */
        UpstreamBudgetAnswer: {
            budget: string;
            used: components["schemas"]["Usd"];
            left: components["schemas"]["Usd"];
            closed: boolean;
            closed_until_ms: number | null;
        };
        UpstreamListAnswer: {
            /** @constant */
            object: "list";
            data: components["schemas"]["UpstreamAnswer"][];
        };
        /** @description Tries at one upstream; `faults` by word, the most frequent first. */
        UpstreamRecordAnswer: {
            upstream: string;
            attempts: number;
            succeeded: number;
            in_flight: number;
            in_doubt: number;
            faults: components["schemas"]["FaultCountAnswer"][];
            latency: components["schemas"]["LatencyAnswer"];
        };
        UpstreamTestAnswer: {
            upstream: string;
            kind: string;
            passed: boolean;
            text: string;
        };
        /** @description Always whole: what has too many lines is refused. */
        UsageAnswer: {
            /** @constant */
            object: "list";
            by: ("day" | "org" | "team" | "key" | "model" | "upstream" | "caller")[];
            data: components["schemas"]["UsageLineAnswer"][];
            /** @constant */
            has_more: false;
        };
        /** @description Sums under the names that were asked for; other names are absent. Amounts are credits and USD. */
        UsageLineAnswer: {
            /** @default null */
            day?: string | null;
            /** @default null */
            org?: string | null;
            /** @default null */
            team?: string | null;
            /** @default null */
            key?: string | null;
            /** @default null */
            model?: string | null;
            /** @default null */
            upstream?: string | null;
            /** @default null */
            caller?: string | null;
            tasks: number;
            failed: number;
            images: number;
            credits: number;
            charged_usd: number;
            paid_usd: number;
            cache_hits: number;
            cache_saved_usd: number;
            routing_saved_usd: number;
        };
        Usd: {
            usd: number;
        };
        UserCredits: {
            remaining_credits: number | null;
            used_credits: number;
        };
        /** @description A variation of one picture. */
        VariationBody: {
            /**
             * @description A model of GET /v1/models; the configured default where absent.
             * @default null
             */
            model?: string | null;
            /**
             * @description How many pictures; the counts allowed depend on the model. 1 where absent.
             * @default null
             */
            n?: number | null;
            /**
             * @description `auto`, a ratio such as `2:3`, or `WIDTHxHEIGHT`; it depends on the model.
             * @default null
             */
            size?: string | null;
            /**
             * @description `standard` means medium and `hd` high.
             * @default null
             */
            quality?: ("auto" | "low" | "medium" | "high" | "xhigh" | "max" | "standard" | "hd") | null;
            /**
             * @description `transparent` needs png or webp.
             * @default null
             */
            background?: ("auto" | "opaque" | "transparent") | null;
            /** @default null */
            moderation?: ("low" | "auto") | null;
            /**
             * @description gif and svg are not served.
             * @default null
             */
            output_format?: ("png" | "webp" | "jpeg" | "gif" | "svg") | null;
            /**
             * @description Only with webp and jpeg.
             * @default null
             */
            output_compression?: number | null;
            /**
             * @description What an item carries; both where absent.
             * @default null
             */
            response_format?: ("url" | "b64_json") | null;
            /** @default null */
            user?: string | null;
            /** @default null */
            safety_identifier?: string | null;
            /** @default null */
            style?: string | null;
            /** @default null */
            complexity?: ("low" | "medium" | "high") | null;
            /**
             * @description How closely an edit keeps to its pictures; advisory.
             * @default null
             */
            input_fidelity?: ("low" | "high") | null;
            /**
             * @description Ours: for the same picture again, from upstreams that take one and make all pictures in one call.
             * @default null
             */
            seed?: number | null;
            /**
             * @description The answer is a stream of server-sent events: partial pictures, then the finished ones.
             * @default null
             */
            stream?: boolean | null;
            /**
             * @description With `stream`: how many partial pictures to send, where the upstream makes any.
             * @default null
             */
            partial_images?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_count?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_duration_ms?: number | null;
            /**
             * @description Only for svg, so it is dropped.
             * @default null
             */
            svg?: components["schemas"]["Svg"] | null;
            /**
             * @description A public https URL of at most 2048 characters that is told the task's end by a signed POST. The answer is a task then.
             * @default null
             */
            callback_url?: string | null;
            images: components["schemas"]["ImageReference"][];
        } & {
            [key: string]: unknown;
        };
        /** @description A variation as a form. For the OpenAPI document alone. */
        VariationForm: {
            /**
             * @description A model of GET /v1/models; the configured default where absent.
             * @default null
             */
            model?: string | null;
            /**
             * @description How many pictures; the counts allowed depend on the model. 1 where absent.
             * @default null
             */
            n?: number | null;
            /**
             * @description `auto`, a ratio such as `2:3`, or `WIDTHxHEIGHT`; it depends on the model.
             * @default null
             */
            size?: string | null;
            /**
             * @description `standard` means medium and `hd` high.
             * @default null
             */
            quality?: ("auto" | "low" | "medium" | "high" | "xhigh" | "max" | "standard" | "hd") | null;
            /**
             * @description `transparent` needs png or webp.
             * @default null
             */
            background?: ("auto" | "opaque" | "transparent") | null;
            /** @default null */
            moderation?: ("low" | "auto") | null;
            /**
             * @description gif and svg are not served.
             * @default null
             */
            output_format?: ("png" | "webp" | "jpeg" | "gif" | "svg") | null;
            /**
             * @description Only with webp and jpeg.
             * @default null
             */
            output_compression?: number | null;
            /**
             * @description What an item carries; both where absent.
             * @default null
             */
            response_format?: ("url" | "b64_json") | null;
            /** @default null */
            user?: string | null;
            /** @default null */
            safety_identifier?: string | null;
            /** @default null */
            style?: string | null;
            /** @default null */
            complexity?: ("low" | "medium" | "high") | null;
            /**
             * @description How closely an edit keeps to its pictures; advisory.
             * @default null
             */
            input_fidelity?: ("low" | "high") | null;
            /**
             * @description Ours: for the same picture again, from upstreams that take one and make all pictures in one call.
             * @default null
             */
            seed?: number | null;
            /**
             * @description The answer is a stream of server-sent events: partial pictures, then the finished ones.
             * @default null
             */
            stream?: boolean | null;
            /**
             * @description With `stream`: how many partial pictures to send, where the upstream makes any.
             * @default null
             */
            partial_images?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_count?: number | null;
            /**
             * @description Only for gif, so it is dropped.
             * @default null
             */
            frame_duration_ms?: number | null;
            /**
             * @description Only for svg, so it is dropped.
             * @default null
             */
            svg?: components["schemas"]["Svg"] | null;
            /**
             * @description A public https URL of at most 2048 characters that is told the task's end by a signed POST. The answer is a task then.
             * @default null
             */
            callback_url?: string | null;
            /** Format: binary */
            image: string;
        } & {
            [key: string]: unknown;
        };
        /**
         * @description The span a budget counts over: a calendar day, week (from Monday) or month in the account's time zone, or the account's whole life.
         * @enum {string}
         */
        Window: "day" | "week" | "month" | "total" | "granted";
        gateway__api__schemas__admin_accounts__AmountAnswer: {
            credits: number;
            usd: number;
            images: number;
        };
        /** @description What is charged to callers, or paid to upstreams (USD alone). */
        gateway__api__schemas__admin_tasks__AmountAnswer: {
            credits: number;
            usd: number;
            images: number;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    post_v1_images_generations: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same body with the same key is answered with the same task for 24 hours; another body with 409. */
                "Idempotency-Key"?: string;
                /** @description An SDK's own retry makes a call of its own and takes up no earlier task. */
                "X-Gateway-Retry"?: "new";
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["GenerationBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImagesAnswer"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Bad Gateway */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Gateway Timeout */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_v1_images_quote: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["GenerationBody"];
                "multipart/form-data": components["schemas"]["EditForm"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["QuoteAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_v1_images_edits: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same body with the same key is answered with the same task for 24 hours; another body with 409. */
                "Idempotency-Key"?: string;
                /** @description An SDK's own retry makes a call of its own and takes up no earlier task. */
                "X-Gateway-Retry"?: "new";
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EditBody"];
                "multipart/form-data": components["schemas"]["EditForm"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImagesAnswer"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Bad Gateway */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Gateway Timeout */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_v1_images_variations: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same body with the same key is answered with the same task for 24 hours; another body with 409. */
                "Idempotency-Key"?: string;
                /** @description An SDK's own retry makes a call of its own and takes up no earlier task. */
                "X-Gateway-Retry"?: "new";
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["VariationBody"];
                "multipart/form-data": components["schemas"]["VariationForm"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImagesAnswer"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Bad Gateway */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Gateway Timeout */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_openai_deployments_deployment_images_generations: {
        parameters: {
            query?: {
                /** @description Means nothing. */
                "api-version"?: string;
            };
            header?: {
                /** @description The same body with the same key is answered with the same task for 24 hours; another body with 409. */
                "Idempotency-Key"?: string;
                /** @description An SDK's own retry makes a call of its own and takes up no earlier task. */
                "X-Gateway-Retry"?: "new";
            };
            path: {
                deployment: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["GenerationBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImagesAnswer"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Bad Gateway */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Gateway Timeout */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_openai_deployments_deployment_images_edits: {
        parameters: {
            query?: {
                /** @description Means nothing. */
                "api-version"?: string;
            };
            header?: {
                /** @description The same body with the same key is answered with the same task for 24 hours; another body with 409. */
                "Idempotency-Key"?: string;
                /** @description An SDK's own retry makes a call of its own and takes up no earlier task. */
                "X-Gateway-Retry"?: "new";
            };
            path: {
                deployment: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EditBody"];
                "multipart/form-data": components["schemas"]["EditForm"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImagesAnswer"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Bad Gateway */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Gateway Timeout */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_openai_v1_images_generations: {
        parameters: {
            query?: {
                /** @description Means nothing. */
                "api-version"?: string;
            };
            header?: {
                /** @description The same body with the same key is answered with the same task for 24 hours; another body with 409. */
                "Idempotency-Key"?: string;
                /** @description An SDK's own retry makes a call of its own and takes up no earlier task. */
                "X-Gateway-Retry"?: "new";
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["GenerationBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImagesAnswer"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Bad Gateway */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Gateway Timeout */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_openai_v1_images_edits: {
        parameters: {
            query?: {
                /** @description Means nothing. */
                "api-version"?: string;
            };
            header?: {
                /** @description The same body with the same key is answered with the same task for 24 hours; another body with 409. */
                "Idempotency-Key"?: string;
                /** @description An SDK's own retry makes a call of its own and takes up no earlier task. */
                "X-Gateway-Retry"?: "new";
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EditBody"];
                "multipart/form-data": components["schemas"]["EditForm"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ImagesAnswer"] | components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Accepted */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskCreated"] | components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Bad Gateway */
            502: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Gateway Timeout */
            504: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_files: {
        parameters: {
            query?: {
                /** @description 1 to 10000; at most 100 come at once. */
                limit?: number;
                /** @description The last id of the page before. */
                after?: string;
                /** @description desc */
                order?: string;
                /** @description vision */
                purpose?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_v1_files: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["FileForm"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_files_file_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                file_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    delete_v1_files_file_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                file_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["FileDeletedAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_files_file_id_content: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                file_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/*": unknown;
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_api_v1_files_upload_base64: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EvolinkBase64Body"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EvolinkFileAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_api_v1_files_upload_stream: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "multipart/form-data": components["schemas"]["EvolinkFileForm"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EvolinkFileAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_api_v1_files_upload_url: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["EvolinkUrlBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EvolinkFileAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Payment Required */
            402: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_tasks: {
        parameters: {
            query?: {
                /** @description Only tasks in this state. */
                status?: string;
                /** @description Only tasks of this model. */
                model?: string;
                /** @description From 1. */
                page?: number;
                /** @description 1 to 100, 20 where absent. */
                page_size?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_v1_tasks_batch: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TaskBatchBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskBatchAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_tasks_task_id: {
        parameters: {
            query?: {
                /** @description Answer when the task has ended, at most so many seconds later: 0 to 300, at once where absent. */
                wait?: number;
            };
            header?: never;
            path: {
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    delete_v1_tasks_task_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_v1_tasks_task_id_cancel: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_models: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelListAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_models_model: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                model: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_credits: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CreditsAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_console_api_models: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ModelCardListAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_console_api_tokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["TokensBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TokensAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_console_api_account: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AccountAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_v1_results_token_file: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                token: string;
                file: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/*": unknown;
                };
            };
            /** @description Partial Content */
            206: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "image/*": unknown;
                };
            };
            /** @description Not Modified */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Requested Range Not Satisfiable */
            416: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    head_v1_results_token_file: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                token: string;
                file: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not Modified */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The body is empty, as the method wants it */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description The body is empty, as the method wants it */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
        };
    };
    get_healthz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["HealthAnswer"];
                };
            };
        };
    };
    get_readyz: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReadinessAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ReadinessAnswer"];
                };
            };
        };
    };
    get_metrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/plain": unknown;
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_openapi_json: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                };
            };
        };
    };
    get_docs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": unknown;
                };
            };
        };
    };
    get_console_api_session: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_console_api_session: {
        parameters: {
            query?: never;
            header?: {
                /** @description Of a request with a session's cookie: `csrf` of this session. */
                "X-CSRF-Token"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SessionBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Too Many Requests */
            429: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    delete_console_api_session: {
        parameters: {
            query?: {
                /** @description key or administrator; where absent both. */
                part?: string;
            };
            header?: {
                /** @description Of a request with a session's cookie: `csrf` of this session. */
                "X-CSRF-Token"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_console: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Permanent Redirect */
            308: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_console_path: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                path: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": unknown;
                };
            };
            /** @description Not Modified */
            304: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/html": unknown;
                };
            };
        };
    };
    get: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Found */
            302: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_tokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminTokenListAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_tokens: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AdminTokenBody"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminTokenIssued"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_tokens_token_id_revoke: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                token_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminTokenAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_accounts: {
        parameters: {
            query?: {
                /** @description Only this org, its teams and its keys. */
                org?: string;
                /** @description Only org, team, key, upstream or ours. */
                kind?: string;
                /** @description Only accounts behind this id: the last id of the page before. */
                after?: string;
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AccountListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_accounts: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AccountBody"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AccountAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_accounts_account: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                account: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AccountAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    patch_admin_v1_accounts_account: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                account: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AccountChangeBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AccountAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_accounts_account_grants: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                account: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["GrantBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GrantAnswer"];
                };
            };
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["GrantAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_accounts_account_entries: {
        parameters: {
            query?: {
                /** @description Only entries of this task. */
                task?: string;
                /** @description Only entries with a smaller id: `before` of the page before. */
                before?: number;
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path: {
                account: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EntryListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_keys: {
        parameters: {
            query?: {
                /** @description Only keys of this org. */
                org?: string;
                /** @description Only keys of the team of this name. */
                team?: string;
                /** @description Only active, expired, revoked or disabled ones. */
                state?: string;
                /** @description Only keys after the one of this id: the last of the page before. */
                after?: string;
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_keys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KeyBody"];
            };
        };
        responses: {
            /** @description Created */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyIssued"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_keys_key_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                key_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    patch_admin_v1_keys_key_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                key_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KeyChangeBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_keys_key_id_rotate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                key_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KeyRotateBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyIssued"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_keys_key_id_revoke: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                key_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_keys_key_id_callback_secret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                key_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallbackSecretAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_keys_key_id_callback_secret_rotate: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                key_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["KeyRotateBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallbackSecretAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_overview: {
        parameters: {
            query?: {
                /** @description 1 to 168, 24 where absent. */
                hours?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["OverviewAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_usage: {
        parameters: {
            query?: {
                /** @description Of org, team, key, model, upstream, caller, day: with commas, or repeated. None: one line of sums. */
                by?: string;
                /** @description The first day, such as 2026-11-01. */
                since?: string;
                /** @description The last day. */
                until?: string;
                /** @description Only this org's. */
                org?: string;
                /** @description Only this team's, by its name. */
                team?: string;
                /** @description Only this key's, by its name. */
                key?: string;
                /** @description Only of this model. */
                model?: string;
                /** @description json, or csv for a file. */
                format?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UsageAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_audit_log: {
        parameters: {
            query?: {
                /** @description Only lines with a smaller id: the last id of the page before. */
                before?: number;
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditLogAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_alerts: {
        parameters: {
            query?: {
                /** @description Only alerts made before this one: the last id of the page before. */
                before?: string;
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_alerts_alert_id_resend: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                alert_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AlertAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_callbacks: {
        parameters: {
            query?: {
                /** @description Only due, sent or dead ones. */
                state?: string;
                /** @description Only callbacks made before this one: the last id of the page before. */
                before?: string;
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallbackListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_callbacks_callback_id: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                callback_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallbackAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_callbacks_callback_id_resend: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                callback_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CallbackAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_tasks: {
        parameters: {
            query?: {
                /** @description Only tasks of this org. */
                org?: string;
                /** @description Only of this team of the org. */
                team?: string;
                /** @description Only of this key, by its name within its team or org. */
                key?: string;
                /** @description Only tasks in this state. */
                state?: string;
                /** @description Only tasks of this model. */
                model?: string;
                /** @description Only older tasks: `next_before` of the page before. */
                before?: string;
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminTaskListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_tasks_task_id: {
        parameters: {
            query?: {
                /** @description `true`: with the prompt, while that is kept. */
                prompt?: string;
            };
            header?: never;
            path: {
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminTaskAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_tasks_task_id_erase: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                task_id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AdminTaskAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_in_doubt: {
        parameters: {
            query?: {
                /** @description Only those behind this attempt: the last of the page before. */
                after?: string;
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DoubtListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_in_doubt_attempt_id_resolve: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                attempt_id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ResolveBody"];
            };
        };
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ResolvedAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Timeout */
            408: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Conflict */
            409: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Request Entity Too Large */
            413: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_upstreams: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UpstreamListAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    post_admin_v1_upstreams_name_test: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                name: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["UpstreamTestAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Not Found */
            404: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
    get_admin_v1_holds: {
        parameters: {
            query?: {
                /** @description 1 to 1000, 100 where absent. */
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description OK */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StrandedHoldListAnswer"];
                };
            };
            /** @description Bad Request */
            400: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Unauthorized */
            401: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Forbidden */
            403: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
            /** @description Service Unavailable */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ErrorAnswer"];
                };
            };
        };
    };
}
